// The frame that the network sees: FLAIR's slices turned upright, axial, at 256 x 256, and the way back.
//
// As the runtime's frame, in the same order of the same single-precision operations: columns run towards the patient's
// left, rows towards the back, slices towards the head; nothing is turned by an angle.
// Legend: K slices, R rows, C columns of FLAIR's grid; N slices, H rows, W columns after turning.
import { Fault } from "../faults";
import { dot, type Grid, type Triple, type Volume } from "./geometry";
import { headBox, type HeadBox, type Shape } from "./head";

/** Rows and columns of the frame. */
export const SIDE = 256;
/** Part of the square's side that a head must fill. */
const LEAST_FILLED = 0.7;
/** Part of the square's side that a head fills which was too small. */
const FILLED = 0.85;
/** Width and height in mm of an axial slice below which it shows no head. */
const LEAST_WIDTH = 40;
/** Part of the side by which a head's box may exceed the square. */
const CUT_OFF = 0.02;
/** Length in mm of a volume, along the head, from which the widest slice is among its slices. */
const TRUSTED = 80;
/** Length of an adult's head in mm, front to back, at its least. */
const SHORT_HEAD = 180;
/** Difference of a step from 1 that is a header's rounding. */
const SAME_STEP = 1e-4;

export interface Frame {
  readonly flair: Grid;
  /** The axes of FLAIR's arrays that run along the head, from front to back, from side to side. */
  readonly axes: Triple;
  /** Which of these run the wrong way. */
  readonly reversed: readonly [boolean, boolean, boolean];
  /** Upper and left edge of the square, in pixels of the turned slices. */
  readonly corner: readonly [number, number];
  /** Rows and columns of the turned slices in one pixel of the frame. */
  readonly step: readonly [number, number];
}

/** The directions of an axial volume: slices to the head, rows to the back, columns to the left. */
const AXIAL: readonly [Triple, Triple, Triple] = [[0, 0, 1], [0, 1, 0], [1, 0, 0]];
const ORDERS: readonly Triple[] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/**
 * The frame of a FLAIR volume.
 *
 * @throws Fault "geometry": the volume is too thin to be cut into axial slices.
 */
export function frameOf(flair: Volume): Frame {
  const { axes, reversed } = upright(flair.grid);
  const turned = turnedTo(flair.voxels, flair.grid.shape, axes, reversed);
  const spacing = axes.map((axis) => flair.grid.spacing[axis]) as unknown as Triple;
  const [, height, width] = turned.shape;
  if (Math.min(height * spacing[1], width * spacing[2]) < LEAST_WIDTH) {
    const got = `${(height * spacing[1]).toFixed(0)} and ${(width * spacing[2]).toFixed(0)} mm`;
    throw new Fault("geometry", { series: "FLAIR", expected: `${LEAST_WIDTH} mm or more in each direction`, got });
  }
  const square = squareOf(turned.shape, spacing, headBox(turned.voxels, turned.shape));
  const pixel = square.side / SIDE;
  const [top, down] = snapped(square.top / spacing[1], pixel / spacing[1]);
  const [left, across] = snapped(square.left / spacing[2], pixel / spacing[2]);
  return { flair: flair.grid, axes, reversed, corner: [top, left], step: [down, across] };
}

/** Number of the frame's slices. */
export function slicesOf(frame: Frame): number {
  return frame.flair.shape[frame.axes[0]] as number;
}

/** Whether the frame's pixels are FLAIR's own, none resampled. */
export function isCopy(frame: Frame): boolean {
  return frame.step.every((step) => step === 1) && frame.corner.every(Number.isInteger);
}

/** mm between the frame's rows, columns and slices. */
export function frameSpacing(frame: Frame): { row: number; column: number; slice: number } {
  const [head, back, left] = frame.axes.map((axis) => frame.flair.spacing[axis] as number) as [number, number, number];
  return { slice: head, row: back * frame.step[0], column: left * frame.step[1] };
}

/** One volume in the frame: N*256*256 float32, 0 outside the slices. */
export function takeOne(frame: Frame, voxels: Float32Array): Float32Array {
  let turned = turnedTo(voxels, frame.flair.shape, frame.axes, frame.reversed);
  turned = resized(turned, 1, SIDE, frame.corner[0], frame.step[0]);
  turned = resized(turned, 2, SIDE, frame.corner[1], frame.step[1]);
  return turned.voxels;
}

/** A map of the frame, N*256*256, on FLAIR's grid: K*R*C, 0 outside the frame. */
export function takeBack(frame: Frame, map: Float32Array): Float32Array {
  let turned: Stack = { voxels: map, shape: [slicesOf(frame), SIDE, SIDE] };
  for (const axis of [1, 2] as const) {
    const [corner, step] = [frame.corner[axis - 1] as number, frame.step[axis - 1] as number];
    turned = resized(turned, axis, frame.flair.shape[frame.axes[axis]] as number, -corner / step, 1 / step);
  }
  return turnedBack(turned, frame);
}

interface Stack {
  readonly voxels: Float32Array;
  readonly shape: Shape;
}

interface Square {
  readonly top: number;
  readonly left: number;
  readonly side: number;
}

/** The square, in mm from the turned slices' upper left corner, that becomes the frame. */
function squareOf(shape: Shape, spacing: Triple, box: HeadBox): Square {
  const [depth, height, width] = shape.map((length, axis) => length * (spacing[axis] as number)) as [number, number, number];
  let side = Math.min(height, width);
  const centres: [number, number] = [height / 2, width / 2];
  const edges = [
    [box.top * spacing[1], box.bottom * spacing[1]],
    [box.left * spacing[2], box.right * spacing[2]],
  ] as const;
  const head = Math.max(...edges.map(([start, end]) => end - start));
  const whole = depth >= TRUSTED ? head : Math.max(head, SHORT_HEAD);
  const zoomed = whole < LEAST_FILLED * side;
  if (zoomed) side = whole / FILLED;
  side = head <= side * (1 + 2 * CUT_OFF) ? side : head;
  for (const axis of [0, 1] as const) {
    const [start, end] = edges[axis];
    const outside = Math.max(centres[axis] - side / 2 - start, end - centres[axis] - side / 2);
    if (zoomed || outside > CUT_OFF * side) centres[axis] = (start + end) / 2;
  }
  return { top: centres[0] - side / 2, left: centres[1] - side / 2, side };
}

/** Corner and step, so that pixels which are the frame's but for rounding or half a pixel are not resampled. */
function snapped(corner: number, step: number): [number, number] {
  return Math.abs(step - 1) <= SAME_STEP ? [Math.floor(corner + SAME_STEP), 1] : [corner, step];
}

/** The axes that come nearest to head, back and left, and which of them run the other way. */
function upright(grid: Grid): { axes: Triple; reversed: [boolean, boolean, boolean] } {
  const cosine = (axis: number, n: number): number => dot(grid.directions[axis] as Triple, AXIAL[n] as Triple);
  const fit = (axes: Triple): number => axes.reduce((sum, axis, n) => sum + Math.abs(cosine(axis, n)), 0);
  let axes = ORDERS[0] as Triple;
  for (const order of ORDERS) if (fit(order) > fit(axes)) axes = order;
  return { axes, reversed: [cosine(axes[0], 0) < 0, cosine(axes[1], 1) < 0, cosine(axes[2], 2) < 0] };
}

/** For each of FLAIR's axes in turned order: its length, and the offset and stride of its index. */
function strides(shape: Triple, axes: Triple, reversed: readonly boolean[]): { length: number; start: number; by: number }[] {
  const by = [shape[1] * shape[2], shape[2], 1];
  return axes.map((axis, n) => {
    const [length, stride] = [shape[axis] as number, by[axis] as number];
    return reversed[n] === true ? { length, start: (length - 1) * stride, by: -stride } : { length, start: 0, by: stride };
  });
}

/** Slices from feet to head, rows from front to back, columns from right to left. */
function turnedTo(voxels: Float32Array, shape: Triple, axes: Triple, reversed: readonly boolean[]): Stack {
  const [n, h, w] = strides(shape, axes, reversed) as [Stride, Stride, Stride];
  const found = new Float32Array(voxels.length);
  let at = 0;
  for (let i = 0, slice = n.start; i < n.length; i += 1, slice += n.by) {
    for (let j = 0, row = slice + h.start; j < h.length; j += 1, row += h.by) {
      for (let k = 0, from = row + w.start; k < w.length; k += 1, from += w.by) found[at++] = voxels[from] as number;
    }
  }
  return { voxels: found, shape: [n.length, h.length, w.length] };
}

type Stride = ReturnType<typeof strides>[number];

/** The inverse of `turnedTo`. */
function turnedBack(stack: Stack, frame: Frame): Float32Array {
  const [n, h, w] = strides(frame.flair.shape, frame.axes, frame.reversed) as [Stride, Stride, Stride];
  const found = new Float32Array(stack.voxels.length);
  let at = 0;
  for (let i = 0, slice = n.start; i < n.length; i += 1, slice += n.by) {
    for (let j = 0, row = slice + h.start; j < h.length; j += 1, row += h.by) {
      for (let k = 0, to = row + w.start; k < w.length; k += 1, to += w.by) found[to] = stack.voxels[at++] as number;
    }
  }
  return found;
}

/**
 * Resample along rows or columns: linear between voxels, averaged where a new voxel covers several.
 *
 * @param length New voxels.
 * @param start Edge of the first new voxel, in old voxels from the edge of the first old one.
 * @param step Old voxels in a new one.
 */
function resized(stack: Stack, axis: 1 | 2, length: number, start: number, step: number): Stack {
  const [n, height, width] = stack.shape;
  const old = axis === 1 ? height : width;
  if (length === old && start === 0 && step === 1) return stack;
  const { indices, weights } = neighbours(old, length, start, step);
  const shape: Shape = axis === 1 ? [n, length, width] : [n, height, length];
  const sums = new Float32Array(n * shape[1] * shape[2]);
  const { voxels } = stack;
  for (let tap = 0; tap < indices.length; tap += 1) {
    const [from, by] = [indices[tap] as Int32Array, weights[tap] as Float32Array];
    let at = 0;
    for (let slice = 0; slice < n; slice += 1) {
      for (let y = 0; y < shape[1]; y += 1) {
        const row = (slice * height + (axis === 1 ? (from[y] as number) : y)) * width;
        for (let x = 0; x < shape[2]; x += 1, at += 1) {
          const value = voxels[row + (axis === 2 ? (from[x] as number) : x)] as number;
          // A float32 array rounds the sum; the product is rounded here, as in the runtime.
          sums[at] = (sums[at] as number) + Math.fround(value * (by[axis === 1 ? y : x] as number));
        }
      }
    }
  }
  return { voxels: sums, shape };
}

/** For each new voxel the old ones that it is made of and their weights; weights are 0 outside. */
function neighbours(old: number, length: number, start: number, step: number): { indices: Int32Array[]; weights: Float32Array[] } {
  const reach = Math.max(step, 1); // of the triangle around a new voxel's centre
  const taps = Math.floor(2 * reach) + 1;
  const indices = Array.from({ length: taps }, () => new Int32Array(length));
  const weights = Array.from({ length: taps }, () => new Float32Array(length));
  for (let voxel = 0; voxel < length; voxel += 1) {
    const centre = start + (voxel + 0.5) * step - 0.5;
    const first = Math.ceil(centre - reach);
    const raw: number[] = [];
    for (let tap = 0; tap < taps; tap += 1) {
      const from = first + tap;
      raw.push(from < 0 || from >= old ? 0 : Math.max(0, 1 - Math.abs(from - centre) / reach));
      (indices[tap] as Int32Array)[voxel] = Math.min(Math.max(from, 0), old - 1);
    }
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    const inside = centre >= -0.5 && centre <= old - 0.5 && total > 0;
    raw.forEach((weight, tap) => {
      (weights[tap] as Float32Array)[voxel] = inside ? weight / total : 0;
    });
  }
  return { indices, weights };
}
