// The input guard: reasons to distrust a slice before anybody trusts its mask, the same as the runtime's.
//
// It looks at a regular grid of at most 64 x 64 pixels; what looks wrong there is confirmed on all pixels.
import { type ChannelRange, CHANNELS, type Fingerprint } from "../bundle/manifest";
import type { Warning } from "../types";

/** Grey levels by which an image may lie outside the range of the training data. */
const MARGIN = 8;
/** How much brighter than the training data's an image may be. */
const BRIGHTER = 2;
/** Mean that no scaling of a head gives. */
const BRIGHTEST_MEAN = 150;
/** Ratio of the sides up to which a model that squeezes slices was measured to lose nothing. */
const LONGEST = 4 / 3;
const GRID = 64;
/** Percentile that stands for the brightest tissue. */
const PEAK = 99;
/** Percentile that is white only in a saturated slice. */
const WHITE = 94;
const SATURATED = 254;

interface Levels {
  readonly low: number;
  readonly high: number;
  readonly peak: number;
  readonly white: number;
  readonly sum: number;
  readonly pixels: number;
}

/**
 * Reasons to distrust a slice; a blank one gives that reason alone.
 *
 * @param image H*W*3.
 * @param fingerprint The training images' intensities; null skips that check.
 * @param squeezes Whether the model squeezes images that are not square.
 */
export function inspectSlice(
  image: Uint8Array, height: number, width: number, fingerprint: Fingerprint | null, squeezes: boolean,
): Warning[] {
  const levels = [0, 1, 2].map((channel) => measured(image, height, width, channel));
  const flat = levels.every(({ low, high }) => low === high) && new Set(levels.map(({ low }) => low)).size === 1;
  if (flat && image.every((value) => value === image[0])) return [{ code: "blank-slice", values: {} }];
  const reasons: Warning[] = [];
  levels.forEach(({ low, high }, channel) => {
    if (low === high && constant(image, channel)) {
      reasons.push({ code: "constant-channel", values: { channel: CHANNELS[channel] as string, value: low } });
    }
  });
  for (const [a, b] of [[0, 1], [1, 2], [0, 2]] as const) {
    if (levels[a]?.sum === levels[b]?.sum && equal(image, a, b)) {
      reasons.push({ code: "repeated-channel", values: { a: CHANNELS[a], b: CHANNELS[b] } });
    }
  }
  if (squeezes && Math.max(height, width) > LONGEST * Math.min(height, width)) {
    reasons.push({ code: "squeezed-slice", values: { height, width } });
  }
  if (fingerprint !== null) {
    levels.forEach((level, channel) => {
      const name = CHANNELS[channel] as string;
      const doubt = unlike(name, level, fingerprint.channels[name] as ChannelRange);
      if (doubt !== undefined) reasons.push(doubt);
    });
  }
  return reasons;
}

function measured(image: Uint8Array, height: number, width: number, channel: number): Levels {
  const [down, across] = [Math.ceil(height / GRID), Math.ceil(width / GRID)];
  const values: number[] = [];
  for (let y = 0; y < height; y += down) {
    for (let x = 0; x < width; x += across) values.push(image[(y * width + x) * 3 + channel] as number);
  }
  const sorted = Uint8Array.from(values).sort();
  const at = (rank: number): number => sorted[rank] as number;
  const pixels = sorted.length;
  return {
    low: at(0),
    high: at(pixels - 1),
    peak: at(Math.floor((pixels * PEAK) / 100)),
    white: at(Math.floor((pixels * WHITE) / 100)),
    sum: values.reduce((sum, value) => sum + value, 0),
    pixels,
  };
}

/** Intensities that the training data did not have and that no usual scaling gives. */
function unlike(channel: string, { sum, pixels, peak, white }: Levels, seen: ChannelRange): Warning | undefined {
  const mean = sum / pixels;
  const highest = Math.max(seen.high + MARGIN, Math.min(BRIGHTER * seen.high, BRIGHTEST_MEAN));
  if (!(mean >= seen.low - MARGIN && mean <= highest)) {
    return { code: "intensity-mean", values: { channel, got: mean, low: seen.low, high: seen.high } };
  }
  if (peak < seen.peak_low - MARGIN || (white >= SATURATED && peak > seen.peak_high + MARGIN)) {
    return { code: "intensity-peak", values: { channel, got: peak, low: seen.peak_low, high: seen.peak_high } };
  }
  return undefined;
}

function constant(image: Uint8Array, channel: number): boolean {
  for (let at = channel; at < image.length; at += 3) if (image[at] !== image[channel]) return false;
  return true;
}

function equal(image: Uint8Array, a: number, b: number): boolean {
  for (let at = 0; at < image.length; at += 3) if (image[at + a] !== image[at + b]) return false;
  return true;
}

/**
 * Warnings of all slices, each kind once, with the number of slices that have it.
 *
 * @param usual Codes that are nothing unusual there, such as blank slices above the head in a study.
 */
export function ofSlices(bySlice: readonly (readonly Warning[])[], usual: ReadonlySet<string> = new Set()): Warning[] {
  const counts = new Map<string, { first: Warning; slices: number }>();
  for (const reasons of bySlice) {
    const kinds = new Map(reasons.map((reason) => [kindOf(reason), reason]));
    for (const [kind, reason] of kinds) {
      const seen = counts.get(kind);
      counts.set(kind, { first: seen?.first ?? reason, slices: (seen?.slices ?? 0) + 1 });
    }
  }
  return [...counts.values()]
    .filter(({ first }) => !usual.has(first.code))
    .map(({ first, slices }) => ({ code: first.code, values: { ...first.values, slices, of: bySlice.length } }));
}

/** A reason without its measures; a channel's intensities are one kind, however they are off. */
function kindOf({ code, values }: Warning): string {
  return [code.startsWith("intensity-") ? "intensity" : code, values["channel"], values["a"], values["b"]].join(" ");
}
