// The tags of a TIFF that say where its pixels lie and what they mean, read under caps.
//
// Further pages are counted, never decoded. Source: TIFF revision 6.0, Adobe, 1992, section 2; BigTIFF, Aware Systems.
import { damaged, truncated, unread } from "../raster";

export const TAG = {
  SUBFILE: 254, WIDTH: 256, HEIGHT: 257, BITS: 258, COMPRESSION: 259, PHOTOMETRIC: 262, FILL_ORDER: 266, STRIP_OFFSETS: 273,
  ORIENTATION: 274, SAMPLES: 277, ROWS_PER_STRIP: 278, STRIP_SIZES: 279, PLANAR: 284, PREDICTOR: 317, TILE_WIDTH: 322,
  TILE_HEIGHT: 323, TILE_OFFSETS: 324, TILE_SIZES: 325, SAMPLE_FORMAT: 339, DEPTH: 32997,
} as const;
const KNOWN = new Set<number>(Object.values(TAG));
/** Tags that count as absent if they cannot be read. */
const DISPENSABLE = new Set<number>([TAG.SUBFILE, TAG.ORIENTATION, TAG.STRIP_SIZES, TAG.TILE_SIZES]);
const MAX_TAGS = 4096;
const MAX_VALUES = 1 << 16;
const MAX_PAGES = 100;
/** Bits of SUBFILE: a smaller copy of another page, a transparency mask for it. */
const SMALL = 1 | 4;
/** Bytes of whole numbers by field type. */
const SIZES: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8 };
const SIGNED = new Set([6, 8, 9, 17]);

/** Whether bytes begin as a classic or a big TIFF does, in either byte order. */
export function isTiff(data: Uint8Array): boolean {
  const start = String.fromCharCode(...data.subarray(0, 4));
  return start === "II*\0" || start === "MM\0*" || start === "II+\0" || start === "MM\0+";
}

/** The first page of a TIFF: values of the known tags. */
export class Page {
  constructor(
    readonly tags: ReadonlyMap<number, readonly number[]>,
    /** How many pages are marked as thumbnails or masks and were left out. */
    readonly small: number,
  ) {}

  all(tag: number): readonly number[] {
    return this.tags.get(tag) ?? [];
  }

  /** The value of a tag that has one value, or several equal ones. */
  one(tag: number, otherwise?: number): number {
    const values = this.tags.get(tag) ?? (otherwise === undefined ? [] : [otherwise]);
    const first = values[0];
    if (first === undefined || values.some((value) => value !== first)) throw damaged(`one value of tag ${tag}`, values.length);
    return first;
  }
}

/** Reads numbers; whatever lies beyond the file's end is a fault. */
class Numbers {
  private readonly view: DataView;
  constructor(private readonly data: Uint8Array, private readonly little: boolean, readonly big: boolean) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get length(): number {
    return this.data.length;
  }

  number(at: number, size: number, signed = false): number {
    if (!(at >= 0 && at + size <= this.data.length)) throw truncated("a tag beyond the end");
    if (size === 1) return signed ? this.view.getInt8(at) : this.view.getUint8(at);
    if (size === 2) return signed ? this.view.getInt16(at, this.little) : this.view.getUint16(at, this.little);
    if (size === 4) return signed ? this.view.getInt32(at, this.little) : this.view.getUint32(at, this.little);
    return Number(signed ? this.view.getBigInt64(at, this.little) : this.view.getBigUint64(at, this.little));
  }

  /** Bytes of a count of entries, of an entry, and of an offset. */
  get form(): { count: number; entry: number; offset: number } {
    return this.big ? { count: 8, entry: 20, offset: 8 } : { count: 2, entry: 12, offset: 4 };
  }
}

/**
 * Read the known tags of the only page.
 *
 * @throws Fault: the file is cut off, a tag that matters is damaged, or there are several full pages.
 */
export function readPage(data: Uint8Array): Page {
  const little = data[0] === 0x49;
  const big = (little ? data[2] : data[3]) === 0x2b;
  const numbers = new Numbers(data, little, big);
  if (big && (numbers.number(4, 2) !== 8 || numbers.number(6, 2) !== 0)) throw damaged("BigTIFF offsets of 8 bytes", numbers.number(4, 2));
  const start = big ? numbers.number(8, 8) : numbers.number(4, 4);
  const { tags, after } = readTags(numbers, start);
  const { pages, small } = furtherPages(numbers, start, after);
  if (pages > 1) throw unread("one page for each slice", pages < MAX_PAGES ? `${pages} pages` : `at least ${MAX_PAGES} pages`);
  return new Page(tags, small);
}

function readTags(numbers: Numbers, start: number): { tags: Map<number, readonly number[]>; after: number } {
  const { count, entry, offset } = numbers.form;
  const entries = numbers.number(start, count);
  if (!(entries > 0 && entries <= MAX_TAGS)) throw damaged(`1 to ${MAX_TAGS} tags`, entries);
  const end = start + count + entries * entry;
  if (end > numbers.length) throw truncated("tags beyond the end");
  const tags = new Map<number, readonly number[]>();
  let taken = 0;
  for (let at = start + count; at < end; at += entry) {
    const [code, kind] = [numbers.number(at, 2), numbers.number(at + 2, 2)];
    const n = numbers.number(at + 4, offset);
    if (!KNOWN.has(code) || n === 0) continue;
    taken += n; // a crafted page could name the same long list thousands of times
    const size = SIZES[kind];
    const values: number[] = [];
    try {
      if (size === undefined || n > MAX_VALUES || taken > 4 * MAX_VALUES) throw damaged("whole numbers, not too many", `${n} of type ${kind}`);
      const field = at + 4 + offset;
      const where = n * size > offset ? numbers.number(field, offset) : field;
      if (where + n * size > numbers.length) throw truncated("a tag beyond the end");
      for (let index = 0; index < n; index += 1) values.push(numbers.number(where + index * size, size, SIGNED.has(kind)));
      if (values.some((value) => value < 0)) throw damaged("no negative number", Math.min(...values.slice(0, 100)));
    } catch (error) {
      if (DISPENSABLE.has(code)) continue;
      throw error;
    }
    if (!tags.has(code)) tags.set(code, values); // of two, the first one holds, as in other readers
  }
  return { tags, after: end };
}

/** How many full pages there are, and how many were passed over; a pointer that leads nowhere ends the file. */
function furtherPages(numbers: Numbers, start: number, after: number): { pages: number; small: number } {
  const seen = new Set([start]);
  let [pages, small, pointer] = [1, 0, after];
  while (seen.size < MAX_PAGES) {
    if (pointer + numbers.form.offset > numbers.length) break;
    const next = numbers.number(pointer, numbers.form.offset);
    const found = next === 0 || seen.has(next) ? undefined : subfile(numbers, next);
    if (found === undefined) break;
    seen.add(next);
    pointer = found.after;
    if ((found.kind & SMALL) !== 0) small += 1;
    else pages += 1;
  }
  return { pages, small };
}

function subfile(numbers: Numbers, start: number): { kind: number; after: number } | undefined {
  const { count, entry, offset } = numbers.form;
  if (start + count > numbers.length) return undefined;
  const entries = numbers.number(start, count);
  const end = start + count + entries * entry;
  if (!(entries > 0 && entries <= MAX_TAGS) || end > numbers.length) return undefined;
  const codes = new Set<number>();
  let kind = 0;
  for (let at = start + count; at < end; at += entry) {
    const code = numbers.number(at, 2);
    codes.add(code);
    const size = SIZES[numbers.number(at + 2, 2)];
    if (code === TAG.SUBFILE && size !== undefined) kind = numbers.number(at + 4 + offset, Math.min(size, 4));
  }
  return codes.has(TAG.WIDTH) && codes.has(TAG.HEIGHT) ? { kind, after: end } : undefined;
}
