// PNG bytes to pixels, by this page's own reader: the browser's would convert colours and fill in what is missing.
//
// The chunks are walked, each proven by its checksum. Source: PNG, third edition, W3C, 2025.
import { crc32 } from "../bundle/golden";
import { inflate, inflated } from "../bundle/inflate";
import { refuseTurned } from "./exif";
import { checkSize, damaged, type Raster, truncated, unread, withoutOpaque } from "./raster";

const MAGIC = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Samples a pixel by colour type; a palette's colours are looked up in masks alone. */
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 4: 2, 6: 4 };
const MAX_CHUNKS = 100_000;
/** Where the pixels of each pass of an interlaced image begin, and how far apart they are: x, y, by x, by y. */
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]] as const;

export function isPng(data: Uint8Array): boolean {
  return MAGIC.every((byte, index) => data[index] === byte);
}

/**
 * Decode a PNG of 8-bit grey or RGB, with or without an opaque alpha channel.
 *
 * @throws Fault "image-…".
 */
export async function readPng(data: Uint8Array<ArrayBuffer>): Promise<Raster> {
  const chunks = chunksOf(data);
  const header = chunks.get("IHDR");
  if (header?.length !== 13) throw damaged("a header of 13 bytes", header?.length ?? 0);
  const view = new DataView(header.buffer, header.byteOffset, 13);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [bits, colour, compression, filtering, interlace] = header.subarray(8) as unknown as [number, number, number, number, number];
  if (compression !== 0 || filtering !== 0 || interlace > 1) throw damaged("a header that PNG defines", header.subarray(8).join(" "));
  checkSize(height, width);
  const samples = CHANNELS[colour];
  if (samples === undefined) throw colour === 3 ? unread("8-bit grey or RGB", "a palette") : damaged("a colour type of PNG", colour);
  if (bits !== 8) throw unread("8 bits a channel", `${bits} bits`);
  if (chunks.has("acTL")) throw unread("one image", "an animation");
  refuseTurned(chunks.get("eXIf") ?? new Uint8Array());
  const packed = chunks.get("IDAT") ?? new Uint8Array();
  const stored = await pixelsOf(packed, height, width, samples, interlace === 1);
  refuseKey(stored, samples, chunks.get("tRNS"));
  const channels = colour === 0 || colour === 4 ? 1 : 3;
  const { pixels, dropped } = withoutOpaque(stored, samples, channels);
  return { height, width, channels, pixels, warnings: dropped ? [{ code: "alpha-dropped", values: {} }] : [] };
}

/** Every chunk by type up to the end marker, pixel data joined. */
function chunksOf(data: Uint8Array<ArrayBuffer>): Map<string, Uint8Array<ArrayBuffer>> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const chunks = new Map<string, Uint8Array<ArrayBuffer>>();
  const pieces: Uint8Array[] = [];
  let at = MAGIC.length;
  for (let count = 0; count < MAX_CHUNKS; count += 1) {
    if (at + 12 > data.length) throw truncated("no end marker");
    const length = view.getUint32(at);
    if (at + 12 + length > data.length) throw truncated("a chunk that runs past the end");
    const kind = String.fromCharCode(...data.subarray(at + 4, at + 8));
    if (crc32(data.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) throw damaged("chunks that fit their checksums", kind.replace(/[^A-Za-z]/g, "?"));
    const body = data.subarray(at + 8, at + 8 + length);
    if (kind === "IEND") return chunks.set("IDAT", new Uint8Array(joined(pieces)));
    if (kind === "IDAT") pieces.push(body);
    else if (!chunks.has(kind)) chunks.set(kind, body.slice());
    at += 12 + length;
  }
  throw damaged(`at most ${MAX_CHUNKS} chunks`, "more");
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

async function pixelsOf(packed: Uint8Array<ArrayBuffer>, height: number, width: number, samples: number, interlaced: boolean): Promise<Uint8Array> {
  const passes = (interlaced ? PASSES : [[0, 0, 1, 1] as const])
    .map(([x, y, byX, byY]) => ({ x, y, byX, byY, columns: Math.ceil((width - x) / byX), rows: Math.ceil((height - y) / byY) }))
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
  const need = passes.reduce((size, { columns, rows }) => size + rows * (columns * samples + 1), 0);
  const rows = await inflated(inflate(packed, "deflate", need, "ignored"), (got) => truncated(got));
  if (rows.length < need) throw truncated(`${rows.length} bytes of ${need}`);
  const pixels = new Uint8Array(height * width * samples);
  let at = 0;
  for (const pass of passes) {
    const size = pass.columns * samples;
    let above = new Uint8Array(size);
    for (let row = 0; row < pass.rows; row += 1, at += size + 1) {
      const line = rows.subarray(at + 1, at + 1 + size);
      unfilter(rows[at] as number, line, above, samples);
      above = line;
      const start = ((pass.y + row * pass.byY) * width + pass.x) * samples;
      if (!interlaced) pixels.set(line, start);
      else for (let x = 0; x < pass.columns; x += 1) pixels.set(line.subarray(x * samples, (x + 1) * samples), start + x * pass.byX * samples);
    }
  }
  return pixels;
}

function unfilter(kind: number, line: Uint8Array, above: Uint8Array, samples: number): void {
  if (kind > 4) throw damaged("filters 0 to 4", kind);
  if (kind === 0) return;
  for (let at = 0; at < line.length; at += 1) {
    const left = at >= samples ? (line[at - samples] as number) : 0;
    const up = above[at] as number;
    const corner = at >= samples ? (above[at - samples] as number) : 0;
    const by = kind === 1 ? left : kind === 2 ? up : kind === 3 ? (left + up) >> 1 : paeth(left, up, corner);
    line[at] = (line[at] as number) + by;
  }
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** Refuse pixels of the one colour that stands for transparent. */
function refuseKey(pixels: Uint8Array, samples: number, key: Uint8Array | undefined): void {
  if (key === undefined || key.length !== 2 * samples || samples === 2) return;
  const colour = Array.from({ length: samples }, (_, each) => ((key[2 * each] as number) << 8) | (key[2 * each + 1] as number));
  for (let at = 0; at < pixels.length; at += samples) {
    if (colour.every((value, each) => pixels[at + each] === value)) throw unread("opaque pixels", "a transparent colour");
  }
}
