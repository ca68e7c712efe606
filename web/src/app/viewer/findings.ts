/** The mask at the chosen threshold and what is counted from it, reckoned once for each threshold. */

import type { Opened, Segmented } from "../../types";

export interface Findings {
  /** N*H*W values 0 or 1. */
  readonly mask: Uint8Array;
  /** Marked pixels of each slice. */
  readonly areas: readonly number[];
  /** Slices with a marked pixel. */
  readonly marked: number;
  /** The slice with most of them; undefined if there is none. */
  readonly largest: number | undefined;
  readonly voxels: number;
  readonly millilitres: number | undefined;
}

/** Findings of the last result and threshold asked for; the same object for the same two. */
export class FindingsOf {
  #result: Segmented | undefined;
  #threshold = Number.NaN;
  #found: Findings | undefined;

  of(images: Opened, result: Segmented, threshold: number): Findings {
    if (this.#found === undefined || result !== this.#result || threshold !== this.#threshold) {
      this.#found = findings(images, result, threshold);
      this.#result = result;
      this.#threshold = threshold;
    }
    return this.#found;
  }
}

export function findings(images: Opened, result: Segmented, threshold: number): Findings {
  const mask = result.mask(threshold);
  const areas = areasBySlice(mask, images.count);
  const most = Math.max(0, ...areas);
  return {
    mask,
    areas,
    marked: areas.filter((area) => area > 0).length,
    largest: most > 0 ? areas.indexOf(most) : undefined,
    voxels: result.voxels(threshold),
    millilitres: result.millilitres(threshold),
  };
}

/** Marked pixels of each slice. */
export function areasBySlice(mask: Uint8Array, count: number): number[] {
  const size = count === 0 ? 0 : mask.length / count;
  return Array.from({ length: count }, (_, slice) => {
    let area = 0;
    for (let at = slice * size; at < (slice + 1) * size; at += 1) area += mask[at] ?? 0;
    return area;
  });
}

/** The next slice with a finding in a direction; undefined if there is none. */
export function nextMarked(areas: readonly number[], from: number, step: 1 | -1): number | undefined {
  for (let at = from + step; at >= 0 && at < areas.length; at += step) if ((areas[at] ?? 0) > 0) return at;
  return undefined;
}
