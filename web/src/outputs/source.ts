// Where a mask goes back to: pictures as they were given, or FLAIR's own grid with what its file said.
import { type Frame, isCopy, takeBack } from "../studies/frame";
import { type Grid, type Volume, voxelMl } from "../studies/geometry";
import type { DicomSource } from "../images/dicom/series";
import type { NiftiFields } from "../images/nifti/fields";

export type Role = "flair" | "pre" | "post";
/** Roles in the order of the network's channels. */
export const ROLES: readonly [Role, Role, Role] = ["pre", "flair", "post"];

/** Pictures: the mask's slices are theirs, in this order. */
export interface PictureSource {
  readonly kind: "pictures";
  /** Names of the files without suffix, one a slice. */
  readonly names: readonly string[];
}

/** A study: the mask lies on FLAIR's grid. */
export interface StudySource {
  readonly kind: "study";
  readonly grid: Grid;
  readonly frame: Frame;
  /** Grey levels by role, on FLAIR's grid; a missing sequence is left out. */
  readonly levels: ReadonlyMap<Role, Volume>;
  /** FLAIR's NIfTI header, or the DICOM series that it came from. */
  readonly nifti?: NiftiFields;
  readonly dicom?: DicomSource;
}

export type Source = PictureSource | StudySource;

/** A probability of float32 is compared with the threshold in float32, as the runtime does. */
export function atThreshold(probability: Float32Array, threshold: number): Uint8Array {
  const level = Math.fround(threshold);
  const found = new Uint8Array(probability.length);
  for (let index = 0; index < found.length; index += 1) found[index] = (probability[index] as number) >= level ? 1 : 0;
  return found;
}

/**
 * A mask in the source's own grid.
 *
 * Where no pixel was resampled it is the slices' mask; else the probability goes back, and the threshold is taken there.
 *
 * @param mask N*H*W values 0 or 1, the slices' mask at that threshold.
 * @param back The probability on FLAIR's grid; called only where it is needed.
 */
export function onSource(source: Source, mask: Uint8Array, threshold: number, back: () => Float32Array): Uint8Array {
  if (source.kind === "pictures") return mask;
  if (!isCopy(source.frame)) return atThreshold(back(), threshold);
  return atThreshold(takeBack(source.frame, Float32Array.from(mask)), 0.5);
}

/** ml of one voxel of the source's grid; undefined for pictures. */
export function sourceVoxelMl(source: Source): number | undefined {
  return source.kind === "study" ? voxelMl(source.grid) : undefined;
}
