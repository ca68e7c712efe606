// The golden cases run on this machine, and compared within the manifest's tolerance.
import { readGolden } from "../bundle/golden";
import { toleranceOf } from "../bundle/manifest";
import type { Loaded, Opened } from "../types";
import type { Segmenter } from "./segmenter";

/** What the golden cases of a variant gave. */
export interface GoldenOutcome {
  readonly cases: number;
  readonly pixels: number;
  /** Largest difference of a probability. */
  readonly difference: number;
  /** Pixels whose mask differs. */
  readonly maskDifferences: number;
  /** Whether every case is within the manifest's tolerance. */
  readonly passed: boolean;
}

/**
 * Run a bundle's golden cases with the variant that the segmenter has loaded.
 *
 * @returns undefined if the bundle has no cases or no tolerance for the variant.
 * @throws Fault.
 */
export async function checkGolden(segmenter: Segmenter, bundle: Loaded, variant: string): Promise<GoldenOutcome | undefined> {
  const file = bundle.manifest.golden === null ? undefined : bundle.files.get(bundle.manifest.golden);
  const entry = bundle.manifest.variants.get(variant);
  const tolerance = entry === undefined ? undefined : toleranceOf(entry, "wasm");
  if (file === undefined || tolerance === undefined) return undefined;
  const found = { cases: 0, pixels: 0, difference: 0, maskDifferences: 0, passed: true };
  for (const { shape: [count, height, width], image, answers } of await readGolden(file)) {
    const expected = answers.get(variant);
    if (expected === undefined) continue;
    const opened: Opened = {
      name: "", kind: "patient", count, height, width, pixels: image, warnings: [],
      source: { kind: "pictures", names: Array.from({ length: count }, (_, at) => String(at)) },
    };
    const answer = await segmenter.segment(opened);
    const mask = answer.mask();
    let [difference, differing] = [0, 0];
    expected.probability.forEach((value, at) => {
      difference = Math.max(difference, Math.abs(value - (answer.probability[at] as number)));
      differing += mask[at] === expected.mask[at] ? 0 : 1;
    });
    found.cases += 1;
    found.pixels += mask.length;
    found.difference = Math.max(found.difference, difference);
    found.maskDifferences += differing;
    found.passed &&= difference <= tolerance.probability && differing <= tolerance.mask * mask.length;
  }
  return found.cases === 0 ? undefined : found;
}
