// What the parts of the page hand to each other: a loaded bundle, what was opened, what was segmented.
// Legend: N slices, H rows, W columns of the network's slices.
import type { Manifest } from "./bundle/manifest";
import type { Role, Source } from "./outputs/source";

export type { Manifest } from "./bundle/manifest";
export type { Source } from "./outputs/source";
import type { FaultCode } from "./faults";

export { Fault, type FaultCode, type Values } from "./faults";
export { type ByHand, StudyFault } from "./studies/series";

/** Reasons to distrust an image, a study or a mask; the words are in the strings file, by code. */
export type WarningCode =
  // of slices; {slices, of} say how many of how many slices, as every warning of slices does
  | "blank-slice"
  | "constant-channel" // {channel, value}
  | "repeated-channel" // {a, b}
  | "squeezed-slice" // {height, width}
  | "intensity-mean" // {channel, got, low, high}
  | "intensity-peak" // {channel, got, low, high}
  | "jpeg-lossy"
  | "alpha-dropped"
  | "slices-left-out" // {files}: thumbnails, further pages
  | "missing-slices" // {numbers}
  // of studies
  | "sequence-missing" // {role}: FLAIR is repeated
  | "series-faulty" // {series}: a T1 that cannot be used and was left out
  | "no-orientation" // {series}: left and right are a guess
  | "orientations-differ" // {series, got} mm: between sform and qform
  | "body-part" // {got}: the header names another than the head
  | "images-expected" // {series, expected, got}: the header says that there are more
  | "single-slice" // {series, got} mm: the height of its only slice, as the header states it
  | "inverted" // {series}: stored with low values bright, and turned over
  | "role-by-time" // {series, role}: nothing but the time tells
  | "file-unread" // {count, files, got}: DICOM files that were left out
  | "spacing-stated" // {series, stated, got} mm: between slices
  | "lossy-compression" // {series}
  | "duplicate-slices" // {series, count}
  | "no-registration" // {series}: headers alone were trusted
  | "frame-of-reference" // {series}
  | "no-head"
  | "bright-background" // {series, got}
  | "empty-slices" // {series, empty, count}
  | "sequence-order" // {got, like}
  | "fat-suppressed" // {got}
  | "skull-stripped" // {got}
  | "saturation" // {series, got}
  | "field-of-view-small" // {got, least}
  | "field-of-view-cut" // {got}
  | "no-axial-head" // {longer, filled}
  | "coverage" // {series, got}
  | "alignment" // {series, got}
  | "motion" // {got}
  | "size" // {got, least, most} mm
  // of masks
  | "implausible-mask" // {share, slice}
  | "scattered-mask" // {parts, most}
  | "mask-at-edge" // {share}
  // of the run
  | "other-threshold"; // {threshold, own}

export interface Warning {
  readonly code: WarningCode;
  readonly values: Readonly<Record<string, string | number>>;
}

/** A series of a study, as somebody who chooses sees it: nothing that names a patient but what its description says. */
export interface SeriesFound {
  /** SeriesInstanceUID, or the file's path. */
  readonly uid: string;
  readonly number?: number | undefined;
  /** SeriesDescription, or the file's name. */
  readonly description: string;
  /** Slices. */
  readonly count: number;
  readonly rows?: number;
  readonly columns?: number;
  /** mm between slices, rows, columns. */
  readonly spacing?: readonly [slice: number, row: number, column: number];
  /** Seconds since midnight at which it began. */
  readonly time?: number | undefined;
  /** What it was used as. */
  readonly role?: Role;
  /** Why it cannot be used. */
  readonly fault?: FaultCode;
}

/** What was opened: the slices as the network sees them, and the way back. */
export interface Opened {
  /** A file's name, or "" for a folder: never a patient's name. */
  readonly name: string;
  readonly kind: "slice" | "patient" | "nifti" | "dicom";
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** N*H*W*3 values 0 to 255, channels pre-contrast, FLAIR, post-contrast. */
  readonly pixels: Uint8Array;
  /** mm between rows, columns and slices as they are shown; absent for pictures, whose volume is in pixels. */
  readonly spacing?: { readonly row: number; readonly column: number; readonly slice: number };
  readonly warnings: readonly Warning[];
  /** What outputs/ needs to write the mask in the source's own grid. */
  readonly source: Source;
  /** All series of a study, those that were not used too. */
  readonly series?: readonly SeriesFound[];
}

/** A bundle whose every byte was compared with the manifest. */
export interface Loaded {
  readonly manifest: Manifest;
  /** SHA-256 of manifest.json, 64 lower-case hexadecimal digits. */
  readonly digest: string;
  /** The model card, Markdown; "" if the bundle has none. */
  readonly card: string;
  /** The variant that runs unless another is asked for. */
  readonly variant: string;
  /** Every listed file, by name. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** How the network's answer stands: told after each slice. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** What the network said of what was opened. */
export interface Segmented {
  /** N*H*W values 0 or 1 in the opened slices, at a threshold; at the bundle's own it is the network's mask. */
  mask(threshold?: number): Uint8Array;
  /** N*H*W values in [0, 1] in the opened slices. */
  readonly probability: Float32Array;
  /** Marked voxels of the source's grid. */
  voxels(threshold?: number): number;
  /** Volume in ml; undefined where the source has no spacing. */
  millilitres(threshold?: number): number | undefined;
  /** The mask in the source's own grid, as the study command makes it: K*R*C values 0 or 1. */
  sourceMask(threshold?: number): Uint8Array;
  /** All reasons to distrust the result, those of the opening included. */
  readonly warnings: readonly Warning[];
  readonly seconds: number;
  /** Such as "wasm, 2 threads". */
  readonly provider: string;
  readonly variant: string;
  /** Model's name and version, bundle's digest. */
  readonly model: { readonly name: string; readonly version: string; readonly digest: string };
  /** The bundle's threshold. */
  readonly threshold: number;
}
