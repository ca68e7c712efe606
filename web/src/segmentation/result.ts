// The network's answer with what it means: masks at thresholds, volume, reasons to distrust them.
import { atThreshold, onSource, sourceVoxelMl } from "../outputs/source";
import { takeBack } from "../studies/frame";
import { sum } from "../studies/measures";
import type { Loaded, Opened, Segmented, Warning } from "../types";

export interface Answered {
  readonly opened: Opened;
  readonly bundle: Loaded;
  readonly variant: string;
  readonly provider: string;
  readonly seconds: number;
  /** N*H*W values 0 or 1, the network's own. */
  readonly mask: Uint8Array;
  readonly probability: Float32Array;
  /** Reasons to distrust slices and mask. */
  readonly warnings: readonly Warning[];
}

/** What the page shows of a network's answer. */
export function result(answered: Answered): Segmented {
  const { opened, bundle, mask, probability } = answered;
  const { manifest } = bundle;
  const own = manifest.threshold;
  const source = opened.source;
  const masks = new Map<number, { mask: Uint8Array; source?: Uint8Array }>([[own, { mask }]]);
  let back: Float32Array | undefined;
  const backed = (): Float32Array => (back ??= source.kind === "study" ? takeBack(source.frame, probability) : probability);
  const at = (threshold: number): { mask: Uint8Array; source?: Uint8Array } => {
    const found = masks.get(threshold) ?? { mask: atThreshold(probability, threshold) };
    // The own one stays, and the last other: a slider asks for many.
    for (const each of masks.keys()) if (each !== own && each !== threshold) masks.delete(each);
    masks.set(threshold, found);
    return found;
  };
  const onGrid = (threshold: number): Uint8Array => {
    const found = at(threshold);
    return (found.source ??= onSource(source, found.mask, threshold, backed));
  };
  const voxels = (threshold = own): number => sum(onGrid(threshold));
  const ml = sourceVoxelMl(source);
  return {
    mask: (threshold = own) => at(threshold).mask,
    sourceMask: (threshold = own) => onGrid(threshold),
    probability,
    voxels,
    millilitres: (threshold = own) => (ml === undefined ? undefined : voxels(threshold) * ml),
    warnings: [...opened.warnings, ...answered.warnings],
    seconds: answered.seconds,
    provider: answered.provider,
    variant: answered.variant,
    model: { name: manifest.name, version: manifest.version, digest: bundle.digest },
    threshold: own,
  };
}
