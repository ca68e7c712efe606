// One decoded picture, and the faults that all formats share.
import { LIMITS } from "../bundle/limits";
import { Fault } from "../faults";
import type { Warning } from "../types";

/** A picture: H*W*channels values; channels are 1 for grey or 3 for RGB. */
export interface Raster {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly pixels: Uint8Array;
  readonly warnings: readonly Warning[];
}

/** Refuse a picture that is empty or larger than a model takes, before memory is taken for it. */
export function checkSize(height: number, width: number): void {
  if (!(height > 0 && height <= LIMITS.side && width > 0 && width <= LIMITS.side)) {
    throw new Fault("image-size", { least: 1, most: LIMITS.side, got: `${height} x ${width}` });
  }
}

/** The fault of a file with fewer pixels than its size says; missing pixels are never made up. */
export function truncated(got: string): Fault {
  return new Fault("image-truncated", { got });
}

export function damaged(expected: string, got: string | number): Fault {
  return new Fault("image-damaged", { expected, got });
}

export function unread(expected: string, got: string): Fault {
  return new Fault("image-kind", { expected, got });
}

/**
 * Drop the channels after grey or RGB where they are opaque everywhere.
 *
 * @param samples H*W*stored values.
 * @throws Fault "image-kind": dropping them could lose something.
 */
export function withoutOpaque(samples: Uint8Array, stored: number, channels: 1 | 3): { pixels: Uint8Array; dropped: boolean } {
  if (stored === channels) return { pixels: samples, dropped: false };
  const count = samples.length / stored;
  const pixels = new Uint8Array(count * channels);
  for (let index = 0; index < count; index += 1) {
    for (let each = 0; each < stored; each += 1) {
      const value = samples[index * stored + each] as number;
      if (each < channels) pixels[index * channels + each] = value;
      else if (value !== 255) throw unread("grey or RGB, with or without an opaque alpha channel", "a transparent pixel");
    }
  }
  return { pixels, dropped: true };
}
