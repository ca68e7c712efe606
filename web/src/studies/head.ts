// Where the head is in a volume: a mask of it, and the box that holds it.
// Legend: N slices, H rows, W columns.
import { percentile } from "./percentile";

/** Part of bright tissue's value above which a voxel is tissue. */
const TISSUE = 0.15;
/** Percentile of the voxels above 0 that stands for bright tissue. */
const BRIGHT = 99.5;
/** Part of a row or column that must be tissue, in one of the slices, for the head to reach there. */
const LINE = 0.05;

export type Shape = readonly [n: number, height: number, width: number];

/** Edges of the head in pixels: of its first row and column, and after its last ones. */
export interface HeadBox {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Voxels that are tissue, not air: 1 or 0; nothing where no voxel is above 0. */
export function tissue(volume: Float32Array | Uint8Array): Uint8Array {
  const found = new Uint8Array(volume.length);
  const bright = Float32Array.from(volume.filter((value) => value > 0));
  if (bright.length === 0) return found;
  const level = Math.fround(Math.fround(TISSUE) * percentile(bright, BRIGHT, "single"));
  for (let index = 0; index < found.length; index += 1) found[index] = (volume[index] ?? 0) > level ? 1 : 0;
  return found;
}

/** The box that holds the head in all slices of a volume; all of it if there is no tissue. */
export function headBox(volume: Float32Array, [n, height, width]: Shape): HeadBox {
  const mask = tissue(volume);
  const rows = new Uint8Array(height);
  const columns = new Uint8Array(width);
  for (let slice = 0; slice < n; slice += 1) {
    const down = new Uint32Array(height);
    const across = new Uint32Array(width);
    for (let y = 0, at = slice * height * width; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, at += 1) {
        down[y] = (down[y] ?? 0) + (mask[at] ?? 0);
        across[x] = (across[x] ?? 0) + (mask[at] ?? 0);
      }
    }
    for (let y = 0; y < height; y += 1) if ((down[y] ?? 0) / width > LINE) rows[y] = 1;
    for (let x = 0; x < width; x += 1) if ((across[x] ?? 0) / height > LINE) columns[x] = 1;
  }
  const [top, left] = [rows.indexOf(1), columns.indexOf(1)];
  if (top < 0 || left < 0) return { top: 0, bottom: height, left: 0, right: width };
  return { top, bottom: rows.lastIndexOf(1) + 1, left, right: columns.lastIndexOf(1) + 1 };
}

/** Voxels with tissue on all four sides in their slice: 1 or 0, so that fluid and sinuses within the head count. */
export function insideHead(volume: Float32Array | Uint8Array, [n, height, width]: Shape): Uint8Array {
  const mask = tissue(volume);
  const inside = new Uint8Array(mask.length);
  const [first, last] = [new Int32Array(width), new Int32Array(width)];
  for (let slice = 0; slice < n; slice += 1) {
    const start = slice * height * width;
    first.fill(height);
    last.fill(-1);
    for (let y = 0, at = start; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, at += 1) {
        if (mask[at] === 1) {
          if ((first[x] ?? 0) > y) first[x] = y;
          last[x] = y;
        }
      }
    }
    for (let y = 0; y < height; y += 1) {
      const row = mask.subarray(start + y * width, start + (y + 1) * width);
      const [from, to] = [row.indexOf(1), row.lastIndexOf(1)];
      if (from < 0) continue;
      for (let x = from; x <= to; x += 1) {
        if (y >= (first[x] ?? 0) && y <= (last[x] ?? -1)) inside[start + y * width + x] = 1;
      }
    }
  }
  return inside;
}
