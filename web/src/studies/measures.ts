// What the guard measures in a study's frame: the head, its scalp, and the texture that tells FLAIR from T1.
// Legend: N slices, H rows, W columns; depth is a voxel's distance from the head's edge in its slice, in pixels.
import { insideHead, type Shape } from "./head";
import { percentile } from "./percentile";

/** Depth, in pixels of half the frame's resolution, from which the brain begins. */
export const DEEP = 10;
/** Depth to which the scalp reaches. */
const SCALP = 5;
/** Part of the widest slice's head that a slice must have to be looked at. */
const WIDE = 0.75;
/** Fewest voxels deep in the head to measure anything. */
const LEAST_DEEP = 200;
const THERE = 0.1;
/** Part of the way up through the head, between which slices show white matter, cortex and little else. */
const MIDDLE = [0.45, 0.75] as const;
/** Slices whose texture is measured. */
const SLICES = 6;
/** Part of bright tissue below which a background is dark. */
const DARK = 0.2;
/** Part of the longest row or column of the head that a row or column must have to count. */
const LINE = 0.15;

/** Values of one channel or mask in slices. */
export interface Stack {
  readonly values: Uint8Array;
  readonly shape: Shape;
}

/** The head in the slices where it is wide, at half the frame's resolution. */
export interface Head {
  /** One stack a channel, in those slices. */
  readonly stacks: readonly [Stack, Stack, Stack];
  readonly inside: Stack;
  /** Depth of each voxel, 0 outside, at most DEEP. */
  readonly depth: Uint8Array;
  /** Indices, among all slices, of those through the cerebrum. */
  readonly middle: readonly number[];
}

/** One channel of the frame, N*H*W*3, every `by`th row and column. */
export function channelOf(images: Uint8Array, [n, height, width]: Shape, channel: number, by = 1): Stack {
  const shape: Shape = [n, Math.ceil(height / by), Math.ceil(width / by)];
  const values = new Uint8Array(shape[0] * shape[1] * shape[2]);
  let at = 0;
  for (let slice = 0; slice < n; slice += 1) {
    for (let y = 0; y < height; y += by) {
      for (let x = 0; x < width; x += by) values[at++] = images[((slice * height + y) * width + x) * 3 + channel] as number;
    }
  }
  return { values, shape };
}

/** Some slices of a stack. */
export function taken({ values, shape }: Stack, slices: readonly number[]): Stack {
  const area = shape[1] * shape[2];
  const found = new Uint8Array(slices.length * area);
  slices.forEach((slice, at) => found.set(values.subarray(slice * area, (slice + 1) * area), at * area));
  return { values: found, shape: [slices.length, shape[1], shape[2]] };
}

/** The head, from all sequences whose background is dark; undefined if there is too little of one. */
export function findHead(images: Uint8Array, shape: Shape): Head | undefined {
  const small = [0, 1, 2].map((channel) => channelOf(images, shape, channel, 2)) as [Stack, Stack, Stack];
  const dark = small.filter((stack) => background(stack) < DARK);
  if (dark.length === 0) return undefined;
  const half = small[0].shape;
  const inside = new Uint8Array(small[0].values.length);
  for (const stack of dark) insideHead(stack.values, half).forEach((value, at) => { if (value === 1) inside[at] = 1; });
  const areas = areasOf({ values: inside, shape: half });
  const most = Math.max(...areas);
  const indices = [...areas.keys()];
  const slices = indices.filter((slice) => (areas[slice] as number) > WIDE * most);
  const wide = taken({ values: inside, shape: half }, slices);
  const depth = depths(wide, DEEP);
  if (depth.reduce((sum, each) => sum + (each >= DEEP ? 1 : 0), 0) < LEAST_DEEP) return undefined;
  const there = indices.filter((slice) => (areas[slice] as number) > THERE * most);
  const [low, high] = MIDDLE.map((part) => quantile(there, part)) as [number, number];
  const middle = [...new Set(Array.from({ length: SLICES }, (_, at) => Math.trunc(low + (at * (high - low)) / (SLICES - 1))))];
  const stacks = small.map((stack) => taken(stack, slices)) as [Stack, Stack, Stack];
  return { stacks, inside: wide, depth, middle };
}

/** Part of each slice that is marked. */
export function areasOf({ values, shape: [n, height, width] }: Stack): number[] {
  const area = height * width;
  return Array.from({ length: n }, (_, slice) => sum(values.subarray(slice * area, (slice + 1) * area)) / area);
}

export function sum(values: Uint8Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** A quantile of sorted numbers, linear between ranks. */
export function quantile(sorted: readonly number[], part: number): number {
  const place = (sorted.length - 1) * part;
  const [a, b] = [sorted[Math.floor(place)] as number, sorted[Math.ceil(place)] as number];
  return a + (b - a) * (place - Math.floor(place));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
}

/** The frame's edge relative to bright tissue: about 0, unless grey levels are inverted or shifted. */
export function background({ values, shape: [n, height, width] }: Stack): number {
  const edge: number[] = [];
  for (let slice = 0; slice < n; slice += 1) {
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const value = values[(slice * height + y) * width + x] as number;
        // A corner counts twice, as it lies on two sides.
        if (y < 4 || y >= height - 4) edge.push(value);
        if (x < 4 || x >= width - 4) edge.push(value);
      }
    }
  }
  return percentile(Uint8Array.from(edge), 25, "double") / Math.max(percentile(values, 99, "double"), 1);
}

/** Slices that have one value throughout, between slices that do not. */
export function emptyWithin({ values, shape: [n, height, width] }: Stack): number {
  const area = height * width;
  const shown = Array.from({ length: n }, (_, slice) => slice).filter((slice) => {
    const one = values.subarray(slice * area, (slice + 1) * area);
    return one.some((value) => value !== one[0]);
  });
  return shown.length === 0 ? 0 : (shown.at(-1) as number) - (shown[0] as number) + 1 - shown.length;
}

/** Distance of each voxel from the edge, in its slice, along rows and columns; at most `most`. */
export function depths({ values, shape: [n, height, width] }: Stack, most: number): Uint8Array {
  const depth = new Uint8Array(values.length);
  let left = values;
  for (let round = 0; round < most; round += 1) {
    const next = new Uint8Array(left.length);
    for (let slice = 0, at = 0; slice < n; slice += 1) {
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1, at += 1) {
          if (left[at] !== 1) continue;
          depth[at] = (depth[at] as number) + 1;
          const within = y > 0 && y < height - 1 && x > 0 && x < width - 1;
          if (within && left[at - 1] === 1 && left[at + 1] === 1 && left[at - width] === 1 && left[at + width] === 1) next[at] = 1;
        }
      }
    }
    left = next;
  }
  return depth;
}

/** How bright the scalp is, relative to the brain's median: the brightest of the rings of equal depth. */
export function scalp({ values }: Stack, { depth }: Head): number {
  const at = (wanted: (depth: number) => boolean): Uint8Array => values.filter((_, index) => wanted(depth[index] as number));
  const brain = Math.max(median([...at((each) => each >= DEEP)]), 1);
  const rings = Array.from({ length: SCALP }, (_, ring) => at((each) => each === ring + 1));
  return Math.max(...rings.filter((ring) => ring.length > 0).map((ring) => percentile(ring, 75, "double"))) / brain;
}

/** How fine-grained the brain's brighter tissue is, relative to its middling tissue; NaN if there is none. */
export function texture(stack: Stack, { middle }: Head): number {
  const values = taken(stack, middle);
  const deep = depths({ values: insideHead(values.values, values.shape), shape: values.shape }, 2 * DEEP);
  const inside = values.values.filter((_, at) => (deep[at] as number) >= 2 * DEEP);
  if (inside.length === 0) return Number.NaN;
  const smooth = blurred(values, 3);
  const [low, half, high, highest] = [30, 50, 70, 92].map((q) => percentile(inside, q, "double")) as [number, number, number, number];
  const [bright, middling] = [{ sum: 0, count: 0 }, { sum: 0, count: 0 }];
  values.values.forEach((value, at) => {
    if ((deep[at] as number) < 2 * DEEP) return;
    const fine = Math.abs(Math.fround(value - (smooth[at] as number)));
    for (const [tally, from, to] of [[bright, high, highest], [middling, low, half]] as const) {
      if (value >= from && value < to) {
        tally.sum += fine;
        tally.count += 1;
      }
    }
  });
  if (bright.count === 0 || middling.count === 0) return Number.NaN;
  return bright.sum / bright.count / Math.max(middling.sum / middling.count, 1e-6);
}

/** Mean over squares of 2 * radius + 1 pixels, edges repeated. */
export function blurred({ values, shape: [n, height, width] }: Stack, radius: number): Float32Array {
  const side = 2 * radius + 1;
  let from: Float32Array = Float32Array.from(values);
  for (const [lines, length, by] of [[width, height, width], [height, width, 1]] as const) {
    const to = new Float32Array(from.length);
    for (let slice = 0; slice < n; slice += 1) {
      for (let line = 0; line < lines; line += 1) {
        const start = slice * height * width + line * (by === 1 ? width : 1);
        const at = (index: number): number => from[start + Math.min(Math.max(index, 0), length - 1) * by] as number;
        let total = 0;
        for (let index = -radius; index <= radius; index += 1) total += at(index);
        for (let index = 0; index < length; index += 1) {
          to[start + index * by] = total / side;
          total += at(index + radius + 1) - at(index - radius);
        }
      }
    }
    from = to;
  }
  return from;
}

/** Length and width of the head in pixels of half the resolution, and the part of their box that it fills: medians. */
export function shapeOf({ inside: { values, shape: [n, height, width] } }: Head): [number, number, number] {
  const found: [number[], number[], number[]] = [[], [], []];
  for (let slice = 0; slice < n; slice += 1) {
    const rows = new Array<number>(height).fill(0);
    const columns = new Array<number>(width).fill(0);
    const at = (y: number, x: number): number => values[(slice * height + y) * width + x] as number;
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        rows[y] = (rows[y] as number) + at(y, x);
        columns[x] = (columns[x] as number) + at(y, x);
      }
    }
    const [top, bottom] = reach(rows);
    const [left, right] = reach(columns);
    let filled = 0;
    for (let y = top; y <= bottom; y += 1) for (let x = left; x <= right; x += 1) filled += at(y, x);
    const [length, across] = [bottom - top + 1, right - left + 1];
    found[0].push(length);
    found[1].push(across);
    found[2].push(filled / (length * across));
  }
  return [median(found[0]), median(found[1]), median(found[2])];
}

/** The first and last of the lines that are long enough to count. */
function reach(lines: readonly number[]): [number, number] {
  const least = LINE * Math.max(...lines);
  return [lines.findIndex((line) => line > least), lines.findLastIndex((line) => line > least)];
}

/** Largest part of a side of the frame along which the head is cut off: a median over the slices, by side. */
export function touching({ inside: { values, shape: [n, height, width] } }: Head): number {
  const sides: number[][] = [[], [], [], []];
  for (let slice = 0; slice < n; slice += 1) {
    const at = (y: number, x: number): number => values[(slice * height + y) * width + x] as number;
    const along = (length: number, of: (index: number) => number): number =>
      Array.from({ length }, (_, index) => of(index)).reduce((total, value) => total + value, 0) / length;
    sides[0]?.push(along(width, (x) => at(0, x)));
    sides[1]?.push(along(width, (x) => at(height - 1, x)));
    sides[2]?.push(along(height, (y) => at(y, 0)));
    sides[3]?.push(along(height, (y) => at(y, width - 1)));
  }
  return Math.max(...sides.map(median));
}

/** Part of the head's slices and pixels in which a sequence was taken: what is exactly 0 throughout was not. */
export function coverage(stack: Stack, inside: Uint8Array): number {
  const smooth = blurred(stack, 4);
  let [there, covered] = [0, 0];
  inside.forEach((value, at) => {
    if (value !== 1) return;
    there += 1;
    if ((stack.values[at] as number) > 0 || (smooth[at] as number) > 1) covered += 1;
  });
  return there === 0 ? 0 : covered / there;
}

/** Dice coefficient of two masks; 1 if both are empty. */
export function overlap(one: Uint8Array, other: Uint8Array): number {
  let both = 0;
  one.forEach((value, at) => { both += value & (other[at] as number); });
  const all = sum(one) + sum(other);
  return all === 0 ? 1 : (2 * both) / all;
}

/** Sizes of the connected parts of a mask, through faces, edges and corners, in voxels, largest first. */
export function pieces(mask: Uint8Array, [n, height, width]: Shape): number[] {
  const left = mask.slice();
  const area = height * width;
  const sizes: number[] = [];
  const pending: number[] = [];
  for (let seed = left.indexOf(1); seed >= 0; seed = left.indexOf(1, seed)) {
    let size = 0;
    pending.push(seed);
    left[seed] = 0;
    while (pending.length > 0) {
      const at = pending.pop() as number;
      size += 1;
      const [x, y, z] = [at % width, Math.floor(at / width) % height, Math.floor(at / area)];
      for (let dz = z > 0 ? -1 : 0; dz <= (z < n - 1 ? 1 : 0); dz += 1) {
        for (let dy = y > 0 ? -1 : 0; dy <= (y < height - 1 ? 1 : 0); dy += 1) {
          for (let dx = x > 0 ? -1 : 0; dx <= (x < width - 1 ? 1 : 0); dx += 1) {
            const each = at + dz * area + dy * width + dx;
            if (left[each] !== 1) continue;
            left[each] = 0;
            pending.push(each);
          }
        }
      }
    }
    sizes.push(size);
  }
  return sizes.sort((a, b) => b - a);
}
