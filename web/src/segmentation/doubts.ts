// Reasons to distrust slices and the mask that was made of them; what a study itself shows is told when it is opened.
import type { Manifest } from "../bundle/manifest";
import { inspectSlice, ofSlices } from "../images/guard";
import { inspectMask } from "../studies/guard";
import type { Loaded, Opened, Warning } from "../types";

/** What the inspection needs to know of the bundle and of what was opened. */
export interface Inspection {
  readonly fingerprint: Manifest["fingerprint"];
  /** Whether a slice that is far from square is squeezed, as it was in training. */
  readonly squeezes: boolean;
  readonly isStudy: boolean;
  /** Whether FLAIR stands for a sequence that is missing, so that channels repeat each other. */
  readonly repeats: boolean;
}

export function inspectionOf({ manifest }: Loaded, { source }: Opened): Inspection {
  const training = manifest.training["aspect_ratio"];
  return {
    fingerprint: manifest.fingerprint, squeezes: !(typeof training === "string" && training.startsWith("kept")),
    isStudy: source.kind === "study", repeats: source.kind === "study" && source.levels.size < 3,
  };
}

/**
 * Inspect slices and their mask.
 *
 * @param pixels N*H*W*3.
 * @param mask N*H*W values 0 or 1.
 */
export function doubts(inspection: Inspection, pixels: Uint8Array, shape: readonly [number, number, number], mask: Uint8Array): Warning[] {
  const [count, height, width] = shape;
  const area = height * width * 3;
  const bySlice = Array.from({ length: count }, (_, slice) =>
    inspectSlice(pixels.subarray(slice * area, (slice + 1) * area), height, width, inspection.fingerprint, inspection.squeezes));
  if (!inspection.isStudy) return ofSlices(bySlice);
  const usual = new Set(["blank-slice", ...(inspection.repeats ? ["repeated-channel"] : [])]);
  return [...inspectMask(pixels, shape, mask), ...ofSlices(bySlice, usual)];
}
