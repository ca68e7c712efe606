// RLE Lossless: a frame's bytes, the highest byte of each value first, each as a segment of runs.
// Source: DICOM PS3.5, annex G.
import { Fault } from "../../faults";

const HEADER = 64;
const MOST_SEGMENTS = 15;

/**
 * Decode a frame of one sample a pixel.
 *
 * @param data The frame as it is stored.
 * @param count Pixels.
 * @param bytes Of a value, 1, 2 or 4.
 * @returns Values of `bytes` bytes, the lowest first.
 * @throws Fault "dicom-damaged".
 */
export function fromRle(data: Uint8Array<ArrayBuffer>, count: number, bytes: number, file: string): Uint8Array<ArrayBuffer> {
  const damaged = (expected: string, got: string | number): Fault => new Fault("dicom-damaged", { file, expected, got });
  if (data.length < HEADER) throw damaged("a header of RLE", `${data.length} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const segments = view.getUint32(0, true);
  if (segments !== bytes || segments > MOST_SEGMENTS) throw damaged(`${bytes} RLE segments`, segments);
  const values = new Uint8Array(count * bytes);
  for (let segment = 0; segment < segments; segment += 1) {
    const start = view.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < segments ? view.getUint32(8 + 4 * segment, true) : data.length;
    if (start < HEADER || end < start || end > data.length) throw damaged("RLE segments within the frame", `${start} to ${end}`);
    const written = unpack(data.subarray(start, end), values, bytes - 1 - segment, bytes, count);
    if (written < count) throw damaged(`${count} pixels`, written);
  }
  return values;
}

/** Writes runs to every `step`th byte from `at` on; what exceeds the frame is left. */
function unpack(data: Uint8Array, into: Uint8Array, at: number, step: number, count: number): number {
  let [from, done] = [0, 0];
  while (done < count && from < data.length) {
    const head = data[from++] as number;
    if (head === 128) continue;
    const run = head < 128 ? head + 1 : 257 - head;
    const length = Math.min(run, count - done, head < 128 ? data.length - from : data.length > from ? run : 0);
    for (let index = 0; index < length; index += 1) into[at + (done + index) * step] = data[head < 128 ? from + index : from] as number;
    from += head < 128 ? run : 1;
    done += length;
  }
  return done;
}
