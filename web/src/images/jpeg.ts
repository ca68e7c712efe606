// JPEG bytes to pixels: the markers are walked here, the browser decodes.
//
// Decoders fill missing pixels with grey, silently. So a stream must be complete: it has an end marker, and bytes added
// before that marker change nothing; if data were missing, they would be read as pixels. Source: ITU-T T.81.
import { refuseTurned } from "./exif";
import { checkSize, damaged, type Raster, truncated, unread } from "./raster";

const END = 0xd9;
const SCAN = 0xda;
const FRAMES = new Set([0xc0, 0xc1, 0xc2]);
const OTHER_FRAMES: Readonly<Record<number, string>> = { 0xc3: "lossless", 0xc9: "arithmetic coding", 0xca: "arithmetic coding", 0xf7: "JPEG-LS" };
const MAX_MARKERS = 1000;
const MAX_SCANS = 100;
/** Bytes that decode to something else than zeros from their first bits on, also behind any restart marker. */
const BITS = Array.from({ length: 80 }, (_, index) => [0xb7, 0x2d, 0x5a, 0xc3, 0x96][index % 5] as number);
const TAIL = Uint8Array.from([...BITS, ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((number) => [0xff, 0xd0 + number, ...BITS])]);

export function isJpeg(data: Uint8Array): boolean {
  return data[0] === 0xff && data[1] === 0xd8 && data[2] === 0xff;
}

/**
 * Decode a JPEG of grey or colour.
 *
 * @throws Fault "image-…".
 */
export async function readJpeg(data: Uint8Array<ArrayBuffer>): Promise<Raster> {
  const frame = walked(data);
  checkSize(frame.height, frame.width);
  refuseTurned(frame.exif);
  let end = frame.end;
  while (data[end - 1] === 0xff) end -= 1; // may stand before a marker
  const scans = data.subarray(0, end);
  const pixels = await decodedBy(scans, new Uint8Array(), frame);
  const longer = await decodedBy(scans, TAIL, frame);
  if (!pixels.every((value, at) => value === longer[at])) throw truncated("JPEG data that ends early");
  return { height: frame.height, width: frame.width, channels: frame.channels, pixels, warnings: [{ code: "jpeg-lossy", values: {} }] };
}

interface Frame {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly end: number;
  readonly exif: Uint8Array;
}

function walked(data: Uint8Array): Frame {
  let frame: { height: number; width: number; channels: 1 | 3 } | undefined;
  let exif: Uint8Array | undefined;
  let [scans, at] = [0, 2];
  for (let count = 0; count < MAX_MARKERS; count += 1) {
    if (at + 2 > data.length) throw truncated("no end-of-image marker");
    if (data[at] !== 0xff) throw damaged("a marker", data[at] as number);
    const marker = data[at + 1] as number;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === END) {
      if (frame === undefined || scans === 0) throw truncated("a stream that lacks scans");
      return { ...frame, end: at, exif: exif ?? new Uint8Array() };
    }
    const length = ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0);
    const body = data.subarray(at + 4, at + 2 + length);
    if (length < 2 || body.length !== length - 2) throw truncated("a marker that runs past the end");
    at += 2 + length;
    if (FRAMES.has(marker) || marker in OTHER_FRAMES) {
      if (frame !== undefined) throw damaged("one frame", "a second");
      frame = frameOf(marker, body);
    } else if (marker === 0xe1 && String.fromCharCode(...body.subarray(0, 6)) === "Exif\0\0") {
      exif ??= body.slice(6);
    } else if (marker === SCAN) {
      scans += 1;
      if (scans > MAX_SCANS) throw damaged(`at most ${MAX_SCANS} scans`, "more");
      at = nextMarker(data, at);
    }
  }
  throw damaged(`at most ${MAX_MARKERS} markers`, "more");
}

function nextMarker(data: Uint8Array, from: number): number {
  for (let at = data.indexOf(0xff, from); at >= 0 && at + 1 < data.length; at = data.indexOf(0xff, at + 1)) {
    const marker = data[at + 1] as number;
    if (marker !== 0 && marker !== 0xff && !(marker >= 0xd0 && marker <= 0xd7)) return at;
  }
  throw truncated("no end-of-image marker");
}

function frameOf(marker: number, body: Uint8Array): { height: number; width: number; channels: 1 | 3 } {
  const other = OTHER_FRAMES[marker];
  if (other !== undefined) throw unread("baseline or progressive JPEG", other);
  if (body.length < 6) throw truncated("a cut frame header");
  const [bits, components] = [body[0] as number, body[5] as number];
  if (bits !== 8) throw unread("8 bits", `${bits} bits`);
  if (components !== 1 && components !== 3) throw unread("grey or colour", components === 4 ? "CMYK" : `${components} channels`);
  if (body.length !== 6 + 3 * components) throw damaged("a frame header for its components", body.length);
  return { height: ((body[1] as number) << 8) | (body[2] as number), width: ((body[3] as number) << 8) | (body[4] as number), channels: components };
}

/** Pixels by the browser, without conversion of colours and without turning. */
async function decodedBy(scans: Uint8Array<ArrayBuffer>, tail: Uint8Array<ArrayBuffer>, { height, width, channels }: Frame): Promise<Uint8Array> {
  const blob = new Blob([scans, tail, Uint8Array.of(0xff, END)], { type: "image/jpeg" });
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "none" });
  } catch (error) {
    throw damaged("a whole stream", error instanceof Error ? error.name : "");
  }
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  if (context === null || bitmap.width !== width || bitmap.height !== height) throw damaged(`${height} x ${width}`, `${bitmap.height} x ${bitmap.width}`);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const pixels = new Uint8Array(height * width * channels);
  for (let at = 0, to = 0; at < rgba.length; at += 4) for (let each = 0; each < channels; each += 1) pixels[to++] = rgba[at + each] as number;
  return pixels;
}
