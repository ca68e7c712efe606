// TIFF bytes to pixels: one page of 8-bit grey or RGB, in strips or tiles, interleaved or in planes, any byte order.
//
// A TIFF can claim any size and point anywhere, so each strip must lie in the file, and none is decompressed further than
// its share of the image. Source: TIFF revision 6.0, Adobe, 1992, sections 8, 14 and 15.
import { checkSize, damaged, type Raster, truncated, unread, withoutOpaque } from "../raster";
import { checkCompression, COMPRESSION, decoded } from "./codecs";
import { Page, readPage, TAG } from "./tags";

const MAX_TILE_SIDE = 4096;
const MAX_SEGMENTS = 1 << 16;
const BLACK_IS_ZERO = 1;
const RGB = 2;
const PHOTOMETRICS: Readonly<Record<number, string>> = {
  0: "white as 0", 3: "a palette", 4: "a transparency mask", 5: "CMYK", 6: "YCbCr", 8: "CIELab", 9: "ICCLab",
};
const FORMATS: Readonly<Record<number, string>> = { 2: "signed", 3: "floating-point", 5: "complex", 6: "complex" };
const REVERSED = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number.parseInt(byte.toString(2).padStart(8, "0").split("").reverse().join(""), 2));

/**
 * Decode a TIFF.
 *
 * @throws Fault "image-…": it is damaged, truncated, too large, or of a kind that is not read.
 */
export async function readTiff(data: Uint8Array<ArrayBuffer>): Promise<Raster> {
  const page = readPage(data);
  const { samples, channels } = samplesOf(page);
  const method = page.one(TAG.COMPRESSION, 1);
  checkCompression(method);
  checkMeaning(page, method);
  const layout = layoutOf(data, page, samples, method);
  const { pixels, dropped } = withoutOpaque(await assembled(layout, page, method, samples), samples, channels);
  return {
    height: layout.height,
    width: layout.width,
    channels,
    pixels,
    warnings: [
      ...(dropped ? [{ code: "alpha-dropped" as const, values: {} }] : []),
      ...(page.small > 0 ? [{ code: "slices-left-out" as const, values: { files: page.small } }] : []),
    ],
  };
}

function samplesOf(page: Page): { samples: number; channels: 1 | 3 } {
  const samples = page.one(TAG.SAMPLES, Math.max(page.all(TAG.BITS).length, 1));
  const bits = new Set((page.tags.get(TAG.BITS) ?? [1]).slice(0, samples));
  const formats = (page.tags.get(TAG.SAMPLE_FORMAT) ?? [1]).slice(0, samples);
  const other = formats.find((format) => format !== 1 && format !== 4);
  if (other !== undefined) throw unread("8-bit unsigned samples", FORMATS[other] ?? `sample format ${other}`);
  if (bits.size !== 1 || !bits.has(8)) throw unread("8-bit samples", `${[...bits].join("/")} bits`);
  if (!page.tags.has(TAG.PHOTOMETRIC)) throw unread("a statement of grey or RGB", "none");
  const photometric = page.one(TAG.PHOTOMETRIC);
  if (photometric !== BLACK_IS_ZERO && photometric !== RGB) {
    throw unread("grey or RGB", PHOTOMETRICS[photometric] ?? `photometric interpretation ${photometric}`);
  }
  const channels = photometric === RGB ? 3 : 1;
  if (samples !== channels && samples !== channels + 1) throw unread("1 or 3 channels, and an opaque alpha channel", `${samples} channels`);
  return { samples, channels };
}

function checkMeaning(page: Page, method: number): void {
  const predictor = page.one(TAG.PREDICTOR, 1);
  const predicted = method !== COMPRESSION.NONE && method !== COMPRESSION.PACKBITS;
  if (predictor !== 1 && !(predictor === 2 && predicted)) throw unread("no predictor, or the horizontal one", `predictor ${predictor}`);
  for (const [tag, known] of [[TAG.PLANAR, [1, 2]], [TAG.FILL_ORDER, [1, 2]], [TAG.DEPTH, [1]]] as const) {
    const value = page.one(tag, 1);
    if (!(known as readonly number[]).includes(value)) throw damaged(`tag ${tag} of ${known.join(" or ")}`, value);
  }
  const orientation = page.all(TAG.ORIENTATION)[0] ?? 1;
  if (orientation >= 2 && orientation <= 8) throw unread("pixels stored upright", `orientation ${orientation}`);
}

interface Segment {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly plane: number;
  readonly top: number;
  readonly left: number;
  readonly rows: number;
}
interface Layout {
  readonly height: number;
  readonly width: number;
  readonly planes: number;
  /** Width of a strip or tile, its rows when full, and bytes of its row. */
  readonly columns: number;
  readonly blockRows: number;
  readonly rowBytes: number;
  readonly segments: readonly Segment[];
}

function layoutOf(data: Uint8Array<ArrayBuffer>, page: Page, samples: number, method: number): Layout {
  const [height, width] = [page.one(TAG.HEIGHT), page.one(TAG.WIDTH)];
  checkSize(height, width);
  const planes = page.one(TAG.PLANAR, 1) === 2 ? samples : 1;
  const sided = [TAG.TILE_WIDTH, TAG.TILE_HEIGHT].every((tag) => (page.all(tag)[0] ?? 0) > 0);
  const tiled = page.tags.has(TAG.TILE_OFFSETS) || (!page.tags.has(TAG.ROWS_PER_STRIP) && sided);
  const nonEmpty = (...tags: number[]): readonly number[] => tags.map((tag) => page.all(tag)).find((values) => values.length > 0) ?? [];
  const offsets = tiled ? nonEmpty(TAG.TILE_OFFSETS, TAG.STRIP_OFFSETS) : page.all(TAG.STRIP_OFFSETS);
  const sizes = nonEmpty(TAG.TILE_SIZES, TAG.STRIP_SIZES);
  const [blockRows, columns] = tiled ? tileSides(page) : [stripRows(page, height, planes, offsets.length), width];
  const rowBytes = columns * (samples / planes);
  const [down, across] = [Math.ceil(height / blockRows), Math.ceil(width / columns)];
  const count = planes * down * across;
  if (count > MAX_SEGMENTS || offsets.length < count) throw truncated(`${offsets.length} strips or tiles of ${count}`);
  const place = placesIn(data, offsets, sizes, method, blockRows * rowBytes);
  const segments = Array.from({ length: count }, (_, index): Segment => {
    const [plane, at] = [Math.floor(index / (down * across)), index % (down * across)];
    const [top, left] = [Math.floor(at / across) * blockRows, (at % across) * columns];
    const rows = Math.min(blockRows, height - top);
    return { data: place(index, rows * rowBytes), plane, top, left, rows };
  });
  return { height, width, planes, columns, blockRows, rowBytes, segments };
}

function tileSides(page: Page): [number, number] {
  const [rows, columns] = [page.one(TAG.TILE_HEIGHT), page.one(TAG.TILE_WIDTH)];
  if (!(rows > 0 && rows <= MAX_TILE_SIDE && columns > 0 && columns <= MAX_TILE_SIDE)) throw damaged("tiles of a sensible size", `${rows} x ${columns}`);
  return [rows, columns];
}

function stripRows(page: Page, height: number, planes: number, offsets: number): number {
  const rows = Math.min(page.one(TAG.ROWS_PER_STRIP, height), height);
  if (rows > 0 && offsets >= planes * Math.ceil(height / rows)) return rows;
  if (offsets === planes) return height; // one strip holds a whole plane, whatever the tag says
  if (rows === 0) throw damaged("a row or more in each strip", rows);
  return rows;
}

/** Finds each segment's bytes; a byte count that is absent or runs past the end is accepted if the pixels are there. */
function placesIn(
  data: Uint8Array<ArrayBuffer>, offsets: readonly number[], sizes: readonly number[], method: number, full: number,
): (index: number, need: number) => Uint8Array<ArrayBuffer> {
  const plain = method === COMPRESSION.NONE;
  const known = sizes.length >= offsets.length && sizes.some((size) => size > 0) ? sizes : undefined;
  // More than any method needs, so that a crafted file cannot have the same bytes gone through again and again.
  const most = 2 * full + (1 << 16);
  let ends: number[] | undefined;
  return (index, need) => {
    const [offset, size] = [offsets[index] as number, known?.[index] ?? 0];
    if (offset === 0 || offset >= data.length || (known !== undefined && size === 0)) throw truncated(`strip or tile ${index + 1} is not there`);
    const room = data.length - offset;
    let length = size;
    if (!(size > 0 && size <= room)) {
      ends ??= [...new Set([...offsets, data.length])].sort((a, b) => a - b);
      length = plain ? room : (ends.find((end) => end > offset) ?? data.length) - offset;
    }
    if (!plain) return data.subarray(offset, offset + Math.min(length, most));
    if (length < need) throw truncated(`${length} bytes of ${need} in strip or tile ${index + 1}`);
    return data.subarray(offset, offset + need);
  };
}

/** The samples as they are stored, H*W*samples. */
async function assembled(layout: Layout, page: Page, method: number, samples: number): Promise<Uint8Array> {
  const { height, width, planes, columns, blockRows, rowBytes } = layout;
  const beside = samples / planes;
  const predicted = page.one(TAG.PREDICTOR, 1) === 2;
  const reversed = page.one(TAG.FILL_ORDER, 1) === 2;
  const pixels = new Uint8Array(height * width * samples);
  for (const { data, plane, top, left, rows } of layout.segments) {
    const bytes = reversed ? data.map((byte) => REVERSED[byte] as number) : data;
    const block = (await decoded(bytes, method, rows * rowBytes, blockRows * rowBytes)).slice();
    const right = Math.min(width - left, columns);
    for (let y = 0; y < rows; y += 1) {
      const row = block.subarray(y * rowBytes, (y + 1) * rowBytes);
      if (predicted) for (let at = beside; at < rowBytes; at += 1) row[at] = (row[at] as number) + (row[at - beside] as number);
      const to = ((top + y) * width + left) * samples;
      if (planes === 1) pixels.set(row.subarray(0, right * samples), to);
      else for (let x = 0; x < right; x += 1) pixels[to + x * samples + plane] = row[x] as number;
    }
  }
  return pixels;
}
