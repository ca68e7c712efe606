// Stored values of slices, and the volume that they make once rescaled.
// Source: DICOM PS3.3 C.7.6.3.1 (pixels), C.7.5.1.1.2 (padding), C.11.1 (rescaling); PS3.5, 8 (encoding).
import { Fault } from "../../faults";
import type { Volume } from "../../studies/geometry";
import { decompressed } from "./compressed";
import { bytesOf, NATIVE } from "./files";
import type { ImageFile, Slice } from "./slices";
import type { Stack } from "./stacking";

/**
 * Read and rescale the pixels of a series.
 *
 * Padding becomes background: 0, or the lowest other value if that is negative. MONOCHROME1 is turned over.
 */
export async function volumeOf({ slices, grid }: Stack, series: string): Promise<Volume> {
  const area = grid.shape[1] * grid.shape[2];
  const voxels = new Float32Array(slices.length * area);
  const padded = new Uint8Array(voxels.length);
  for (const [index, slice] of slices.entries()) {
    const { format } = slice.source;
    const [low, high] = format.padding ?? [1, 0];
    const top = format.signed ? -1 : 2 ** format.stored - 1;
    (await storedValues(slice)).forEach((value, at) => {
      const meant = format.inverted ? top - value : value;
      voxels[index * area + at] = meant * slice.slope + slice.intercept;
      if (value >= low && value <= high) padded[index * area + at] = 1;
    });
  }
  if (!voxels.every(Number.isFinite)) throw new Fault("series-values", { series, expected: "finite values", got: "NaN or infinity" });
  setBackground(voxels, padded, (slices[0] as Slice).source.format.inverted);
  return { voxels, grid };
}

/** Whether two slices hold the same values. */
export async function sameValues(one: Slice, other: Slice): Promise<boolean> {
  if (one.slope !== other.slope || one.intercept !== other.intercept) return false;
  const [a, b] = await Promise.all([storedValues(one), storedValues(other)]);
  return a.length === b.length && a.every((value, at) => value === b[at]);
}

/** Stored values, without the bits above those in use, which may hold an overlay, and with their sign. */
async function storedValues({ source, frame }: Slice): Promise<Float64Array> {
  const { rows, columns, allocated, stored, high, signed, big } = source.format;
  const [count, bytes] = [rows * columns, allocated / 8];
  const native = NATIVE.has(source.syntax);
  const found = native ? await plain(source, ((frame ?? 1) - 1) * count * bytes, count * bytes) : await decompressed(source, frame ?? 1);
  const data = new DataView(found.buffer, found.byteOffset, found.byteLength);
  if (data.byteLength < count * bytes) throw new Fault("dicom-damaged", { file: source.name, expected: `${count} pixels`, got: data.byteLength });
  // Values that were decompressed stand in their lowest bits.
  const [shift, all, half] = [native ? 2 ** (high + 1 - stored) : 1, 2 ** stored, 2 ** (stored - 1)];
  const swapped = big && source.pixels.vr === "OW";
  const values = new Float64Array(count);
  for (let at = 0; at < count; at += 1) {
    const raw = bytes === 1 ? data.getUint8(swapped ? at ^ 1 : at) : bytes === 2 ? data.getUint16(at * 2, !big) : data.getUint32(at * 4, !big);
    const used = Math.floor(raw / shift) % all;
    values[at] = signed && used >= half ? used - all : used;
  }
  return values;
}

/** Bytes of a frame that is stored as it is; one of an odd number of bytes comes with what fills it up. */
async function plain({ body, name, pixels }: ImageFile, from: number, count: number): Promise<Uint8Array<ArrayBuffer>> {
  const start = pixels.offset + from;
  return bytesOf(body, start, start + count + (count % 2), name);
}

/** Gives padding a background's value; brings values that were turned over about too high a value back to 0. */
function setBackground(voxels: Float32Array, padded: Uint8Array, inverted: boolean): void {
  let [lowest, highest] = [Infinity, -Infinity];
  voxels.forEach((value, at) => {
    if (padded[at] === 1) return;
    lowest = Math.min(lowest, value);
    highest = Math.max(highest, value);
  });
  if (lowest > highest) {
    voxels.fill(0);
    return;
  }
  const shift = inverted && lowest > highest / 2 ? lowest : 0;
  const background = shift !== 0 ? 0 : Math.min(0, lowest);
  for (let at = 0; at < voxels.length; at += 1) voxels[at] = padded[at] === 1 ? background : (voxels[at] as number) - shift;
}
