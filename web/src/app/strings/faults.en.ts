/** What is wrong and what to do about it, in English, by code; {name} is one of the fault's values. */

import type { FaultCode } from "../../faults";

/** Faults of the page itself, beside those that bundles, images and the network have. */
export type PageCode =
  | "insecure" | "update-busy" | "update-tabs" | "busy" | "drop-too-many"
  | "node-unreachable" | "node-token" | "node-refused" | "node-answer" | "unforeseen";

export interface FaultWords {
  readonly what: string;
  /** What would have been right; where it is left out, the fault's value `expected` says it. */
  readonly expected?: string;
  /** What was found; where it is left out, the fault's value `got` says it. */
  readonly got?: string;
  readonly remedy: string;
}

export type FaultTexts = Readonly<Record<FaultCode | PageCode, FaultWords>>;

export const faults: FaultTexts = {
  "bundle-missing": {
    what: "These files are not a model.",
    expected: "A model’s folder with manifest.json.",
    got: "Files of that name: {got}",
    remedy: "Open the folder that holds manifest.json, not the one around it, and all of its files. Images are opened under 2.",
  },
  "bundle-incomplete": {
    what: "The model is not complete.",
    expected: "Every file that the manifest lists.",
    got: "Missing: {missing}",
    remedy: "Open the whole folder. If it lacks the files, get the model again from where it came from.",
  },
  "bundle-unlisted": {
    what: "The folder holds files that the manifest does not list.",
    expected: "Only files that the manifest lists.",
    got: "Also there: {files}",
    remedy: "Get the model again from where it came from; do not put other files into its folder.",
  },
  "bundle-tampered": {
    what: "The file {file} is not the one that the manifest describes: it is damaged or was changed.",
    remedy: "Do not use this model. Get it again from where it came from.",
  },
  "bundle-schema": {
    what: "The model’s files cannot be understood ({where}).",
    remedy: "Get the model again, or use a version of this page that knows its format.",
  },
  "bundle-too-large": {
    what: "The file {file} is larger than a model’s file may be.",
    expected: "At most {most} bytes.",
    got: "{got} bytes.",
    remedy: "Check that this is the right folder.",
  },
  "digest-malformed": {
    what: "The expected digest is not a SHA-256.",
    expected: "64 hexadecimal digits.",
    remedy: "Copy it again, without spaces or line breaks; or leave the field empty.",
  },
  "digest-mismatch": {
    what: "This is not the expected model: its digest is another one.",
    remedy: "Open the right model; or ask whoever gave you the digest which model it belongs to.",
  },
  "variant-unknown": {
    what: "The model has no such network.",
    expected: "One of: {known}",
    got: "{variant}",
    remedy: "Choose one that it has.",
  },
  "nothing-opened": {
    what: "No image was found among these files.",
    expected: "TIFF, PNG or JPEG slices, NIfTI (.nii, .nii.gz) or DICOM.",
    got: "Other files: {got}",
    remedy: "Open the files or the folder that hold the images. A model is opened under 1.",
  },
  "mixed-inputs": {
    what: "These files are images of several kinds at once.",
    expected: "Slices, or NIfTI, or DICOM.",
    remedy: "Open one kind at a time.",
  },
  "several-patients": {
    what: "These slices are from several folders.",
    expected: "The slices of one patient.",
    remedy: "Open the folder of one patient.",
  },
  "file-too-large": {
    what: "The file {file} is too large.",
    expected: "At most {most} bytes.",
    got: "{got} bytes.",
    remedy: "Check that it is the right file. Larger studies are the command’s: brainseg predict.",
  },
  "file-unreadable": {
    what: "The browser cannot read the file {file}.",
    expected: "A file that is still there and may be read.",
    remedy: "Check that the file was not moved or changed, then open it again.",
  },
  "image-unknown": {
    what: "The file {file} has no format that this page reads.",
    expected: "TIFF, PNG, JPEG, NIfTI or DICOM.",
    remedy: "Export the images in one of these formats.",
  },
  "image-damaged": {
    what: "The file {file} is damaged.",
    remedy: "Export or copy it again.",
  },
  "image-truncated": {
    what: "The file {file} ends before its end: part of it is missing.",
    expected: "A whole file.",
    remedy: "Copy it again.",
  },
  "image-size": {
    what: "The picture {file} is too small or too large.",
    expected: "Sides of {least} to {most} pixels.",
    remedy: "Use the slices at their own size.",
  },
  "image-kind": {
    what: "The picture {file} is of a kind that cannot be segmented.",
    remedy: "Export it as 8 bits with three channels: T1 before contrast, FLAIR, T1 after contrast.",
  },
  "image-grey": {
    what: "The picture {file} has one channel only.",
    expected: "Three channels: T1 before contrast, FLAIR, T1 after contrast.",
    got: "One grey channel.",
    remedy: "Combine the three sequences into one picture, or open the study as NIfTI or DICOM.",
  },
  "slices-differ": {
    what: "The slices are not of one size; {file} differs.",
    remedy: "Open the slices of one patient, all at their own size.",
  },
  "slices-numbers": {
    what: "The order of the slices is unclear, at {file}.",
    expected: "A different number at the end of each name.",
    remedy: "Number the files in the order of the slices.",
  },
  "slices-missing": {
    what: "Slices are missing between those that are there.",
    expected: "Consecutive numbers.",
    got: "Missing: {got}",
    remedy: "Open all slices of the patient.",
  },
  "too-many-slices": {
    what: "These are too many slices.",
    expected: "At most {most}.",
    remedy: "Open one series, or use the command: brainseg predict.",
  },
  "nifti-damaged": {
    what: "The NIfTI file {file} is damaged.",
    remedy: "Convert or copy it again.",
  },
  "nifti-kind": {
    what: "The NIfTI file {file} is of a kind that cannot be segmented.",
    remedy: "Use one volume of grey values in a file.",
  },
  "dicom-damaged": {
    what: "The DICOM file {file} is damaged.",
    remedy: "Export it again from the PACS.",
  },
  "dicom-syntax": {
    what: "The DICOM file {file} is compressed in a way that this page does not decode.",
    expected: "Uncompressed images, RLE or lossless JPEG.",
    remedy: "Export them uncompressed, or use the command, which decodes more: brainseg predict.",
  },
  "dicom-kind": {
    what: "The DICOM file {file} is not an MR image that can be segmented.",
    remedy: "Open the study’s MR series alone.",
  },
  "geometry": {
    what: "The series {series} does not lie on a regular grid, so a mask could come to the wrong place.",
    remedy: "Open the complete series, without gaps, duplicates and gantry tilt.",
  },
  "several-studies": {
    what: "These files belong to several studies.",
    expected: "One study of one patient.",
    remedy: "Open one study at a time.",
  },
  "roles-unknown": {
    what: "It is unclear which series is FLAIR, or which T1 is before and which after contrast.",
    remedy: "Choose the series below, at “Series”, or open only the three that are needed.",
  },
  "roles-several": {
    what: "Several series could be the {role}.",
    expected: "One.",
    remedy: "Choose the right one below, at “Series”, or leave the others out.",
  },
  "roles-twice": {
    what: "The series {series} was chosen for two sequences.",
    expected: "A series of its own for each sequence.",
    got: "One series twice.",
    remedy: "Choose another series for one of them, or leave one to the headers.",
  },
  "series-modality": {
    what: "The series {series} is not MR, and the models know MR alone.",
    remedy: "Choose an MR series.",
  },
  "grids-differ": {
    what: "The series {series} has another grid than FLAIR, and this page does not register images.",
    expected: "Series that share a grid.",
    got: "Different grids.",
    remedy: "Use the command, which registers them: brainseg predict MODEL STUDY -o OUT",
  },
  "series-values": {
    what: "The values of the series {series} cannot be those of an MR image.",
    remedy: "Use the images as the scanner made them, not standardised or empty ones.",
  },
  "not-loaded": {
    what: "No model is open.",
    expected: "A model.",
    got: "None.",
    remedy: "Open a model first.",
  },
  "model-failed": {
    what: "The network could not be started or run in this browser.",
    expected: "A browser with WebAssembly.",
    remedy: "Load the page again, or use a current Firefox, Chrome, Edge or Safari.",
  },
  "out-of-memory": {
    what: "The browser has too little memory for this.",
    expected: "Enough memory for the images and the network.",
    remedy: "Close other tabs and load the page again, or open fewer slices.",
  },
  "cancelled": {
    what: "The work was cancelled.",
    expected: "An end.",
    got: "A cancellation.",
    remedy: "Start it again when you want the result.",
  },
  "output-kind": {
    what: "The mask cannot be written in this format.",
    remedy: "Save it as TIFF or NIfTI.",
  },
  "insecure": {
    what: "The browser gives this page no cryptography, so that it cannot check a model.",
    expected: "A page opened over HTTPS or as localhost.",
    got: "A page opened over plain HTTP.",
    remedy: "Open the page over HTTPS.",
  },
  "update-busy": {
    what: "The new version cannot be loaded now: the page is at work.",
    remedy: "Wait until it is done, or cancel it; then load the new version.",
  },
  "update-tabs": {
    what: "The new version cannot be loaded while this page is open in other tabs or windows.",
    expected: "One tab with this page.",
    got: "{got} tabs",
    remedy: "Close the others, then load the new version here.",
  },
  "busy": {
    what: "This was not done: the page is at work on something else.",
    remedy: "Wait until it is done, or cancel it; then try again.",
  },
  "drop-too-many": {
    what: "The dropped folder holds too many files.",
    expected: "At most {most} files.",
    got: "More",
    remedy: "Drop the folder of one study.",
  },
  "node-unreachable": {
    what: "The node does not answer.",
    expected: "An answer.",
    got: "None.",
    remedy: "Check the network and whether the node runs. Models and images of your own can still be opened.",
  },
  "node-token": {
    what: "The node does not accept this access token.",
    expected: "The token of the node.",
    got: "A missing or wrong one.",
    remedy: "Ask whoever runs the node for the token and sign in again.",
  },
  "node-refused": {
    what: "The node refused this.",
    remedy: "See what the node says, below.",
  },
  "node-answer": {
    what: "The node’s answer cannot be understood.",
    expected: "An answer of a brainseg node.",
    remedy: "Load the page again; page and node may be of different versions.",
  },
  "unforeseen": {
    what: "The page met a fault that it does not know.",
    expected: "None.",
    remedy: "Load the page again. If it comes back, report it with the text above.",
  },
};
