// The core of the page in one place: open a bundle, open images, segment, write the mask.
export { openBundle } from "./bundle/bundle";
export { type GoldenCase, readGolden } from "./bundle/golden";
export { checkGolden, type GoldenOutcome } from "./segmentation/golden";
export { openImages } from "./images/open";
export { Segmenter, type SegmentOptions } from "./segmentation/segmenter";
export * from "./types";
export { writeNifti } from "./outputs/nifti";
export { writeSeg } from "./outputs/seg";
export { writeTiff } from "./outputs/tiff";
