// The guard of studies: reasons to distrust a study before anybody trusts its mask, and reasons to distrust the mask.
//
// The runtime's checks with the runtime's bounds; docs/guard.md says how often each warns on patients and on faults.
// Legend: N slices, H rows, W columns of the frame.
import { type Role, ROLES } from "../outputs/source";
import type { Warning } from "../types";
import type { Volume } from "./geometry";
import { insideHead, type Shape } from "./head";
import {
  areasOf, background, channelOf, coverage, depths, emptyWithin, findHead, type Head, median, overlap, pieces, scalp, shapeOf, type Stack,
  sum, texture, touching,
} from "./measures";

const FLAIR = 1;
const BRIGHT_SCALP = 1.15;
const DARK_SCALP = 0.85;
const T1_TEXTURE = 1.05;
const SATURATED = 0.01;
const BACKGROUND = 0.2;
const SMALL = 0.6;
const TOUCHING = 0.5;
const COVERED = 0.9;
const ALIGNED = 0.88;
const STEADY = 0.9;
const LONG = 1.7;
const ROUND = [0.6, 0.93] as const;
const LENGTH_MM = [110, 280] as const;
const MUCH = 0.12;
const MUCH_OF_A_SLICE = 0.35;
const SCATTERED = 12;
const PART = 20;
const AT_THE_EDGE = 0.25;
const FEW = 4;
const THIN = 0.02;
const EDGE_DEPTH = 5;

/**
 * Reasons to distrust a study.
 *
 * @param images N*H*W*3, what the network sees.
 * @param levels The sequences that there are; one that is not among them was filled in with FLAIR.
 */
export function inspectStudy(images: Uint8Array, shape: Shape, levels: ReadonlyMap<Role, Volume>): Warning[] {
  const whole = ROLES.map((_, channel) => channelOf(images, shape, channel));
  const present = [0, 1, 2].filter((channel) => {
    const own = levels.has(ROLES[channel] as Role);
    return own && (channel === FLAIR || !same((whole[channel] as Stack).values, (whole[FLAIR] as Stack).values));
  });
  const reasons: Warning[] = [];
  for (const channel of present) {
    const got = background(whole[channel] as Stack);
    if (got >= BACKGROUND) reasons.push({ code: "bright-background", values: { series: nameOf(channel), got } });
  }
  for (const channel of present) {
    const empty = emptyWithin(whole[channel] as Stack);
    if (empty > 0) reasons.push({ code: "empty-slices", values: { series: nameOf(channel), empty, count: shape[0] } });
  }
  const head = findHead(images, shape);
  if (head === undefined) return [...reasons, { code: "no-head", values: {} }];
  return [
    ...reasons, ...order(whole, head, present), ...scalpOf(head), ...saturation(head, present), ...fieldOfView(head),
    ...alignment(head, present), ...motion(head), ...size(levels.get("flair")),
  ];
}

/** Reasons to distrust a mask: implausibly much, scattered, or at the head's edge. */
export function inspectMask(images: Uint8Array, shape: Shape, mask: Uint8Array): Warning[] {
  const marked = everyOther(mask, shape);
  if (sum(marked.values) === 0) return [];
  const head = insideHead(channelOf(images, shape, FLAIR, 2).values, marked.shape);
  marked.values.forEach((value, at) => { if (value === 1) head[at] = 1; });
  const inside: Stack = { values: head, shape: marked.shape };
  const area = marked.shape[1] * marked.shape[2];
  const heads = areasOf(inside).map((part) => Math.round(part * area));
  const least = Math.max(...heads) / 4;
  const share = sum(marked.values) / sum(head);
  const slice = Math.max(...areasOf(marked).map((part, at) => Math.round(part * area) / Math.max(heads[at] as number, least)));
  const reasons: Warning[] = [];
  if (share > MUCH || slice > MUCH_OF_A_SLICE) reasons.push({ code: "implausible-mask", values: { share, slice } });
  const parts = pieces(mask, shape).filter((each) => each >= PART).length;
  if (parts > SCATTERED) reasons.push({ code: "scattered-mask", values: { parts, most: SCATTERED } });
  const depth = depths(inside, EDGE_DEPTH + 1);
  const atEdge = marked.values.reduce((count, value, at) => count + (value === 1 && (depth[at] as number) <= EDGE_DEPTH ? 1 : 0), 0);
  const edge = atEdge / sum(marked.values);
  if (edge > AT_THE_EDGE) reasons.push({ code: "mask-at-edge", values: { share: edge } });
  return reasons;
}

function everyOther(mask: Uint8Array, [n, height, width]: Shape): Stack {
  const shape: Shape = [n, Math.ceil(height / 2), Math.ceil(width / 2)];
  const values = new Uint8Array(shape[0] * shape[1] * shape[2]);
  let at = 0;
  for (let slice = 0; slice < n; slice += 1) {
    for (let y = 0; y < height; y += 2) {
      for (let x = 0; x < width; x += 2) values[at++] = mask[(slice * height + y) * width + x] as number;
    }
  }
  return { values, shape };
}

function nameOf(channel: number): string {
  return ROLES[channel] as string;
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((value, at) => value === other[at]);
}

/** A T1 in FLAIR's place. */
function order(whole: readonly Stack[], head: Head, present: readonly number[]): Warning[] {
  const got = texture(whole[FLAIR] as Stack, head);
  const swapped = present.filter((channel) => channel !== FLAIR && texture(whole[channel] as Stack, head) > got);
  if (swapped.length === 0 && !(got < T1_TEXTURE)) return [];
  return [{ code: "sequence-order", values: { got, like: swapped.map(nameOf).join(" ") } }];
}

/** A scalp that is not bright on FLAIR. */
function scalpOf(head: Head): Warning[] {
  const got = scalp(head.stacks[FLAIR], head);
  if (got >= BRIGHT_SCALP) return [];
  return [{ code: got < DARK_SCALP ? "fat-suppressed" : "skull-stripped", values: { got } }];
}

/** Bright tissue that is white throughout. */
function saturation(head: Head, present: readonly number[]): Warning[] {
  return present.flatMap((channel): Warning[] => {
    const { values } = head.stacks[channel] as Stack;
    const white = values.reduce((count, value, at) => count + (head.inside.values[at] === 1 && value >= 254 ? 1 : 0), 0);
    const got = white / sum(head.inside.values);
    return got > SATURATED ? [{ code: "saturation", values: { series: nameOf(channel), got } }] : [];
  });
}

/** A head that is small, cut off, or none. */
function fieldOfView(head: Head): Warning[] {
  const [length, width, filled] = shapeOf(head);
  const [most, least] = [Math.max(length, width), Math.min(length, width)];
  const side = head.inside.shape[1];
  const found: Warning[] = [];
  if (most < SMALL * side) found.push({ code: "field-of-view-small", values: { got: most / side, least: SMALL } });
  const cut = touching(head);
  if (cut > TOUCHING) found.push({ code: "field-of-view-cut", values: { got: cut } });
  const longer = most / Math.max(least, 1);
  if (longer > LONG || !(filled >= ROUND[0] && filled <= ROUND[1])) {
    found.push({ code: "no-axial-head", values: { longer, filled } });
  }
  return found;
}

/** A T1 that does not cover FLAIR, or shows the head elsewhere. */
function alignment(head: Head, present: readonly number[]): Warning[] {
  const { values, shape } = head.stacks[FLAIR];
  const flair = insideHead(values, shape);
  return present.filter((channel) => channel !== FLAIR).flatMap((channel): Warning[] => {
    const other = head.stacks[channel] as Stack;
    const part = coverage(other, flair);
    if (part < COVERED) return [{ code: "coverage", values: { series: nameOf(channel), got: part } }];
    const dice = overlap(flair, insideHead(other.values, other.shape));
    if (dice >= ALIGNED || background(other) >= BACKGROUND) return [];
    return [{ code: "alignment", values: { series: nameOf(channel), got: dice } }];
  });
}

/** Neighbouring slices of FLAIR that do not fit together. */
function motion(head: Head): Warning[] {
  const { values, shape } = head.stacks[FLAIR];
  if (shape[0] < FEW) return [];
  const inside = insideHead(values, shape);
  const area = shape[1] * shape[2];
  const of = (slice: number): Uint8Array => inside.subarray(slice * area, (slice + 1) * area);
  const got = median(Array.from({ length: shape[0] - 1 }, (_, slice) => overlap(of(slice), of(slice + 1))));
  return got < STEADY ? [{ code: "motion", values: { got } }] : [];
}

/** A head of an impossible size. */
function size(flair: Volume | undefined): Warning[] {
  if (flair === undefined) return [];
  const { shape, spacing } = flair.grid;
  const inside = shape[0] > 1 ? insideHead(flair.voxels, shape) : Uint8Array.from(flair.voxels, (value) => (value > 0 ? 1 : 0));
  const counts = shape.map((length) => new Float64Array(length)) as [Float64Array, Float64Array, Float64Array];
  let at = 0;
  for (let k = 0; k < shape[0]; k += 1) {
    for (let j = 0; j < shape[1]; j += 1) {
      for (let i = 0; i < shape[2]; i += 1, at += 1) {
        if (inside[at] !== 1) continue;
        counts[0][k] = (counts[0][k] as number) + 1;
        counts[1][j] = (counts[1][j] as number) + 1;
        counts[2][i] = (counts[2][i] as number) + 1;
      }
    }
  }
  const lengths = counts.map((along, axis) => {
    const plane = inside.length / along.length;
    const [first, last] = [along.findIndex((n) => n / plane > THIN), along.findLastIndex((n) => n / plane > THIN)];
    return first < 0 ? 0 : (last - first + 1) * (spacing[axis] as number);
  });
  const got = Math.max(...lengths);
  if (got >= LENGTH_MM[0] && got <= LENGTH_MM[1]) return [];
  return [{ code: "size", values: { got, least: LENGTH_MM[0], most: LENGTH_MM[1] } }];
}
