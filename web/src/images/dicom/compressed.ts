// Frames that are compressed one by one: found among the fragments, and decoded where the page has a decoder.
// Source: DICOM PS3.5, A.4 (encapsulation), 8.2.
import { Fault, shown } from "../../faults";
import { bytesOf, NATIVE } from "./files";
import { fromLosslessJpeg } from "./jpeg_lossless";
import { fromRle } from "./rle";
import type { ImageFile } from "./slices";

const RLE = "1.2.840.10008.1.2.5";
const LOSSLESS_JPEG = new Set(["1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"]);
/** Syntaxes that lose something of the images, whatever the header says: JPEG, JPEG-LS near lossless, JPEG 2000. */
const LOSSY = new Set(["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"]);
const MOST_FRAGMENTS = 100_000;
const MOST_FRAME_BYTES = 1 << 28;
/** Bytes of an item's tag and length. */
const ITEM = 8;

/** From and to, in the file. */
type Stretch = readonly [from: number, to: number];

/** Where each frame's fragments are, found once for each file. */
const found = new WeakMap<Blob, Promise<readonly (readonly Stretch[])[]>>();

export function isLossy(syntax: string): boolean {
  return LOSSY.has(syntax);
}

/** Refuse a transfer syntax that the page does not decode; JPEG-LS, JPEG 2000 and lossy JPEG are the study command's. */
export function checkSyntax({ syntax, name }: ImageFile): void {
  if (!NATIVE.has(syntax) && syntax !== RLE && !LOSSLESS_JPEG.has(syntax)) throw new Fault("dicom-syntax", { file: name, got: shown(syntax) });
}

/**
 * The values of a frame, as they are stored, the lowest byte first.
 *
 * @param frame From 1.
 * @throws Fault "dicom-damaged" or "dicom-syntax".
 */
export async function decompressed(source: ImageFile, frame: number): Promise<Uint8Array<ArrayBuffer>> {
  checkSyntax(source);
  const frames = await (found.get(source.body) ?? remembered(source));
  const stretches = frames[frame - 1];
  if (stretches === undefined) throw damaged(source, `${source.format.frames} frames`, frames.length);
  const data = await joined(source, stretches);
  const { rows, columns, allocated } = source.format;
  const bytes = allocated / 8;
  if (source.syntax === RLE) return fromRle(data, rows * columns, bytes, source.name);
  const values = fromLosslessJpeg(data, rows, columns, source.name);
  if (bytes === 1) return Uint8Array.from(values);
  if (bytes === 4) return new Uint8Array(Uint32Array.from(values).buffer);
  return new Uint8Array(values.buffer);
}

function remembered(source: ImageFile): Promise<readonly (readonly Stretch[])[]> {
  const frames = framesOf(source);
  found.set(source.body, frames);
  return frames;
}

/** Each frame's fragments: one for each, or by the table of offsets, or all of them of a single frame. */
async function framesOf(source: ImageFile): Promise<readonly (readonly Stretch[])[]> {
  const { frames: count } = source.format;
  const [table, ...fragments] = await itemsOf(source);
  if (table === undefined) throw damaged(source, "a table of offsets", "none");
  if (count === 1) return [fragments];
  if (fragments.length === count) return fragments.map((fragment) => [fragment]);
  const offsets = await bytesOf(source.body, table[0], table[1], source.name);
  const view = new DataView(offsets.buffer);
  if (offsets.length !== 4 * count) throw damaged(source, `a fragment or an offset for each of ${count} frames`, fragments.length);
  const begin = (fragments[0]?.[0] ?? 0) - ITEM;
  const starts = Array.from({ length: count }, (_, index) => begin + view.getUint32(4 * index, true) + ITEM);
  return starts.map((start, index) => fragments.filter(([from]) => from >= start && from < (starts[index + 1] ?? Infinity)));
}

/** The items of the pixel data: the table of offsets, then the fragments. */
async function itemsOf(source: ImageFile): Promise<Stretch[]> {
  const { body, name, pixels } = source;
  const items: Stretch[] = [];
  let at = pixels.offset;
  for (;;) {
    const head = await bytesOf(body, at, at + ITEM, name);
    const view = new DataView(head.buffer);
    // The end marker is left out by some; a cut fragment is found by what it lacks.
    if (head.length < ITEM || (view.getUint16(0, true) === 0xfffe && view.getUint16(2, true) === 0xe0dd)) return items;
    const length = view.getUint32(4, true);
    if (view.getUint32(0, true) !== 0xe000fffe || at + ITEM + length > body.size) throw damaged(source, "whole fragments of pixels", "something else, or an early end");
    if (items.length >= MOST_FRAGMENTS) throw damaged(source, `at most ${MOST_FRAGMENTS} fragments`, "more");
    items.push([at + ITEM, at + ITEM + length]);
    at += ITEM + length;
  }
}

async function joined(source: ImageFile, stretches: readonly Stretch[]): Promise<Uint8Array<ArrayBuffer>> {
  const size = stretches.reduce((sum, [from, to]) => sum + to - from, 0);
  if (size > MOST_FRAME_BYTES) throw damaged(source, `at most ${MOST_FRAME_BYTES} bytes of a frame`, size);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const [from, to] of stretches) {
    whole.set(await bytesOf(source.body, from, to, source.name), at);
    at += to - from;
  }
  return whole;
}

function damaged({ name }: ImageFile, expected: string, got: string | number): Fault {
  return new Fault("dicom-damaged", { file: name, expected, got });
}
