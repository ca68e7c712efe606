// Strips and tiles decompressed, each to exactly its share of the image.
// Source: TIFF revision 6.0, Adobe, 1992, sections 9 and 13; Adobe Photoshop TIFF technical notes, 2002 (Deflate).
import { inflate, inflated } from "../../bundle/inflate";
import { damaged, truncated, unread } from "../raster";

export const COMPRESSION = { NONE: 1, LZW: 5, DEFLATE: 8, PACKBITS: 32773, OLD_DEFLATE: 32946 } as const;
const NAMES: Readonly<Record<number, string>> = {
  2: "CCITT", 3: "CCITT group 3", 4: "CCITT group 4", 6: "old-style JPEG", 7: "JPEG", 34712: "JPEG 2000", 34887: "LERC",
  34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
};

/** Refuse a compression that is not decoded. */
export function checkCompression(method: number): void {
  if (!(Object.values(COMPRESSION) as number[]).includes(method)) {
    throw unread("no compression, LZW, Deflate or PackBits", NAMES[method] ?? `method ${method}`);
  }
}

/**
 * The rows of one strip or tile.
 *
 * @param data The bytes that it may use.
 * @param need Bytes wanted.
 * @param full Bytes of a full strip or tile, which the last one may be filled up to.
 * @throws Fault: it is damaged, or holds less.
 */
export async function decoded(data: Uint8Array<ArrayBuffer>, method: number, need: number, full: number): Promise<Uint8Array> {
  const found = method === COMPRESSION.NONE ? data
    : method === COMPRESSION.PACKBITS ? unpacked(data, need)
    : method === COMPRESSION.LZW ? fromLzw(data, need)
    : await inflated(inflate(data, "deflate", full, "ignored"), (got) => truncated(got));
  if (found.length < need) throw truncated(`${found.length} bytes of ${need} in a strip or tile`);
  return found.subarray(0, need);
}

function unpacked(data: Uint8Array, need: number): Uint8Array {
  const found = new Uint8Array(need);
  let [from, to] = [0, 0];
  while (to < need) {
    if (from >= data.length) throw truncated(`${to} bytes of ${need} in a strip or tile`);
    const head = data[from++] as number;
    if (head === 128) continue;
    if (head < 128) {
      const part = data.subarray(from, from + head + 1);
      if (part.length < Math.min(head + 1, need - to)) throw truncated("a run that is cut off");
      found.set(part.subarray(0, need - to), to);
      from += head + 1;
      to += head + 1;
    } else {
      const value = data[from++];
      if (value === undefined) throw truncated("a run that is cut off");
      found.fill(value, to, to + 257 - head);
      to += 257 - head;
    }
  }
  return found;
}

const CLEAR = 256;
const END = 257;
const TABLE = 4096;

/** LZW with codes from the highest bit on. Codes in the lowest bit first, as before 1992, are refused. */
function fromLzw(data: Uint8Array, need: number): Uint8Array {
  if (data.length > 1 && data[0] === 0 && ((data[1] as number) & 1) === 1) throw unread("LZW of TIFF 6.0", "LZW of before 1992");
  const found = new Uint8Array(need);
  // An entry is a stretch of what was written: where it begins, and its length.
  const [starts, lengths] = [new Uint32Array(TABLE), new Uint16Array(TABLE)];
  let [next, width, previous, to, bit] = [END + 1, 9, -1, 0, 0];
  const bits = data.length * 8;
  while (to < need) {
    if (bit + width > bits) throw truncated(`${to} bytes of ${need} in a strip or tile`);
    const at = bit >> 3;
    const word = ((data[at] as number) << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0);
    const code = (word >> (24 - (bit & 7) - width)) & ((1 << width) - 1);
    bit += width;
    if (code === END) throw truncated(`${to} bytes of ${need} in a strip or tile`);
    if (code === CLEAR) {
      [next, width, previous] = [END + 1, 9, -1];
      continue;
    }
    const begin = to;
    if (code < CLEAR) {
      found[to++] = code;
    } else {
      // A code that is about to be made is the previous stretch and its own first byte.
      if (code > next || previous < 0 || (code === next && next >= TABLE)) throw damaged("LZW codes that are possible", code);
      const [start, length] = code < next ? [starts[code] as number, lengths[code] as number] : [previous, begin - previous + 1];
      for (let index = 0; index < length && to < need; index += 1) found[to++] = found[start + index] as number;
    }
    if (previous >= 0 && next < TABLE) {
      starts[next] = previous;
      lengths[next] = begin - previous + 1;
      next += 1;
      if (next + 1 >= 1 << width && width < 12) width += 1;
    }
    previous = begin;
  }
  return found;
}
