// A gzip file of one member or of many, as bgzip, parallel compressors and plain concatenation write them.
//
// Source: RFC 1952, 2.2 (members follow one another); SAM/BAM specification, 4.1 (BGZF, whose members state their size).
import { inflatedPieces, Trailing } from "./inflate";

/** Most members: bgzip writes one for each 65,280 bytes, so that these hold 1 GiB. */
const MOST = 1 << 14;
/** Most members that do not state their size. Where one ends is searched for, which takes some 0.1 s for each. */
const MOST_SEARCHED = 64;
/** Bytes looked at for a member's header, and for the zeros that may stand between members. */
const HEADER = 64;
const PADDING = 1 << 16;
/** Bytes read of the file at once: few enough for a header, many enough for a volume of small members. */
const [AT_FIRST, BLOCK] = [1 << 17, 1 << 20];

/**
 * Decompress a file piece by piece, member after member; whoever stops asking stops the decompression.
 *
 * The checksum of each member is compared when more is asked for than the member holds. Zeros between and after members are
 * skipped, as gzip does.
 *
 * @throws Trailing: the members are followed by something else. TypeError: damaged or truncated. RangeError: too many members.
 */
export async function* gunzippedPieces(file: Blob): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const source = new Window(file);
  let [at, searched] = [0, 0];
  for (let members = 1; at < file.size; members += 1) {
    if (members > MOST || searched > MOST_SEARCHED) throw new RangeError("too many compressed members");
    const size = await statedSize(source, at);
    try {
      yield* inflatedPieces(size === undefined ? file.slice(at) : await source.read(at, size), "gzip");
      at = size === undefined ? file.size : at + size;
    } catch (error) {
      if (!(error instanceof Trailing)) throw error;
      at += error.at;
      searched += 1;
    }
    at = await nextMember(source, at);
  }
}

/** The size that a BGZF member states in its header, in bytes; undefined if it states none. */
async function statedSize(source: Window, at: number): Promise<number | undefined> {
  const bytes = await source.read(at, HEADER);
  const head = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [FLAGS, EXTRA, LENGTH, FIRST] = [3, 4, 10, 12];
  if (head.byteLength < FIRST || (head.getUint8(FLAGS) & EXTRA) === 0) return undefined;
  const end = Math.min(FIRST + head.getUint16(LENGTH, true), head.byteLength);
  for (let field = FIRST; field + 6 <= end; field += 4 + head.getUint16(field + 2, true)) {
    const isSize = head.getUint8(field) === 0x42 && head.getUint8(field + 1) === 0x43 && head.getUint16(field + 2, true) === 2; // "BC"
    if (isSize) return head.getUint16(field + 4, true) + 1;
  }
  return undefined;
}

/** Where the next member begins; the file's end if nothing but zeros follows. */
async function nextMember(source: Window, at: number): Promise<number> {
  const bytes = await source.read(at, PADDING);
  const zeros = bytes.findIndex((value) => value !== 0);
  if (zeros < 0 && at + bytes.length >= source.size) return source.size;
  if (zeros < 0 || bytes[zeros] !== 0x1f || bytes[zeros + 1] !== 0x8b) throw new Trailing(at);
  return at + zeros;
}

/** A file of which a block is kept, as asking for each member by itself takes a millisecond each time. */
class Window {
  #at = 0;
  #block: Uint8Array<ArrayBuffer> = new Uint8Array();

  constructor(private readonly file: Blob) {}

  get size(): number {
    return this.file.size;
  }

  /** Bytes from a place on, at most 64 KiB; fewer at the file's end. */
  async read(at: number, count: number): Promise<Uint8Array<ArrayBuffer>> {
    const end = Math.min(at + count, this.size);
    if (at < this.#at || end > this.#at + this.#block.length) {
      this.#block = new Uint8Array(await this.file.slice(at, at + (at === 0 ? AT_FIRST : BLOCK)).arrayBuffer());
      this.#at = at;
    }
    return this.#block.subarray(at - this.#at, end - this.#at);
  }
}
