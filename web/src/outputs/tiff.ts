// The mask as TIFF, the data set's own form: 8-bit grey, 0 and 255, uncompressed; several slices are a zip of files.
//
// One file a slice, `<name>_mask.tif`, since the toolkit's other commands refuse a TIFF of several pages.
// Source: TIFF revision 6.0, Adobe, 1992, section 4.
import { crc32 } from "../bundle/golden";
import type { Opened, Segmented } from "../types";

const TUMOUR = 255;

/** A TIFF, or for several slices a zip archive of them; `name` is what the download is called. */
export function writeTiff(opened: Opened, segmented: Segmented, threshold: number = segmented.threshold): { blob: Blob; name: string } {
  const { source } = opened;
  const [count, height, width] = source.kind === "study" ? source.grid.shape : [opened.count, opened.height, opened.width];
  const mask = segmented.sourceMask(threshold);
  const digits = String(count).length;
  const names = source.kind === "pictures" ? source.names : Array.from({ length: count }, (_, at) => String(at + 1).padStart(digits, "0"));
  const files = names.map((name, at): [string, Uint8Array<ArrayBuffer>] =>
    [`${safe(name)}_mask.tif`, tiff(mask.subarray(at * height * width, (at + 1) * height * width), height, width)]);
  const [only] = files;
  if (files.length === 1 && only !== undefined) return { blob: new Blob([only[1]], { type: "image/tiff" }), name: only[0] };
  return { blob: new Blob([zip(files)], { type: "application/zip" }), name: "masks.zip" };
}

/** A picture's name as part of a file's name on any system: no path, nothing that is not seen, nothing that turns text around. */
function safe(name: string): string {
  return name.replace(/[\\/:*?"<>|\p{C}\p{Zl}\p{Zp}]/gu, "_");
}

function tiff(mask: Uint8Array, height: number, width: number): Uint8Array<ArrayBuffer> {
  const [SHORT, LONG] = [3, 4];
  const tags = [
    [256, LONG, width], [257, LONG, height], [258, SHORT, 8], [259, SHORT, 1], [262, SHORT, 1], [273, LONG, 0], [277, SHORT, 1],
    [278, LONG, height], [279, LONG, mask.length],
  ] as const;
  const pixels = 8 + 2 + 12 * tags.length + 4;
  const file = new Uint8Array(pixels + mask.length);
  const view = new DataView(file.buffer);
  file.set([0x49, 0x49, 42, 0, 8]);
  view.setUint16(8, tags.length, true);
  tags.forEach(([tag, kind, value], index) => {
    const at = 10 + 12 * index;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, kind, true);
    view.setUint32(at + 4, 1, true);
    view.setUint32(at + 8, tag === 273 ? pixels : value, true);
  });
  for (let at = 0; at < mask.length; at += 1) file[pixels + at] = mask[at] === 1 ? TUMOUR : 0;
  return file;
}

/** Files stored in a zip archive, uncompressed and without dates. Source: APPNOTE.TXT 6.3.10. */
function zip(files: readonly [name: string, data: Uint8Array<ArrayBuffer>][]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const directory: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  const push = (part: Uint8Array<ArrayBuffer>): void => { parts.push(part); at += part.length; };
  for (const [name, data] of files) {
    const title = new TextEncoder().encode(name);
    const about = fields([[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 0x21], [4, crc32(data)], [4, data.length], [4, data.length], [2, title.length], [2, 0]]);
    directory.push(fields([[4, 0x02014b50], [2, 20]]), about, fields([[2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), title);
    push(fields([[4, 0x04034b50]]));
    push(about);
    push(title);
    push(data);
  }
  const start = at;
  directory.forEach(push);
  push(fields([[4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, at - start], [4, start], [2, 0]]));
  const whole = new Uint8Array(at);
  let to = 0;
  for (const part of parts) {
    whole.set(part, to);
    to += part.length;
  }
  return whole;
}

/** Whole numbers of 2 or 4 bytes, little endian. */
function fields(values: readonly (readonly [bytes: number, value: number])[]): Uint8Array<ArrayBuffer> {
  const found = new Uint8Array(values.reduce((total, [bytes]) => total + bytes, 0));
  const view = new DataView(found.buffer);
  let at = 0;
  for (const [bytes, value] of values) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  return found;
}
