// Decompression by the browser's own DecompressionStream, never further than a cap.
//
// Compressed bytes are handed over in small pieces, the next one only when what came out of the last has been taken, so that
// no file fills the memory before its size is seen: each piece can become a thousand times as large.
import { Fault } from "../faults";

/** How compressed bytes go on when the wanted ones have been read. */
export type Rest = "must-end" | "may-follow" | "ignored";

/** The compressed data has ended, whole and with the right checksum, and something follows it. */
export class Trailing extends TypeError {
  /** @param at Where in the data that begins. */
  constructor(readonly at: number, options?: ErrorOptions) {
    super(`something follows the compressed data at byte ${at}`, options);
  }
}

/** Compressed bytes handed over at once, the first time and at most. */
const [SMALL, PIECE] = [1 << 8, 1 << 14];
/** Bytes read of a file at once: few enough for a header, many enough for a volume. */
const BLOCK = 1 << 18;

/**
 * Decompress piece by piece; whoever stops asking stops the decompression.
 *
 * Browsers throw away what they have decompressed when bytes follow the compressed data, as padding often does. The piece in
 * which that happens is therefore handed over again byte by byte: everything before the fault is given, then the fault.
 *
 * @param data Compressed bytes, or a file, of which no more is read than is needed.
 * @param format gzip, deflate (zlib's, with a checksum) or deflate-raw.
 * @throws Trailing: followed by something else. TypeError: damaged or truncated. Both after all that could be decompressed was given.
 */
export async function* inflatedPieces(data: Uint8Array<ArrayBuffer> | Blob, format: CompressionFormat): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const source = new Pieces(data);
  let given = 0;
  try {
    for await (const piece of through(source, format)) {
      given += piece.length;
      yield piece;
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const again = new Pieces(data, source.last);
    try {
      for await (const piece of through(again, format)) {
        const skipped = Math.min(given, piece.length);
        given -= skipped;
        if (skipped < piece.length) yield piece.subarray(skipped);
      }
    } catch (other) {
      if (other instanceof TypeError && !again.ended && (await isWhole(data, again.last, format))) throw new Trailing(again.last, { cause: other });
      throw other;
    }
  }
}

/** Whether the bytes before a place are compressed data from its beginning to its end. */
async function isWhole(data: Uint8Array<ArrayBuffer> | Blob, end: number, format: CompressionFormat): Promise<boolean> {
  const before = data instanceof Blob ? data.slice(0, end) : data.subarray(0, end);
  try {
    for await (const piece of through(new Pieces(before), format)) void piece;
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** A source through the browser's decompression. */
async function* through(source: Pieces, format: CompressionFormat): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = new ReadableStream<Uint8Array<ArrayBuffer>>(source, { highWaterMark: 0 }).pipeThrough(new DecompressionStream(format)).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // a stream that has failed has nothing to cancel
  }
}

/**
 * Decompress bytes.
 *
 * @param data Compressed bytes, or a file.
 * @param most Most bytes that are taken.
 * @param rest Whether more than `most` is a fault, or left unread; all but "must-end" leave bytes that follow unread.
 * @returns At most `most` bytes.
 * @throws RangeError: there is more. TypeError: damaged or truncated.
 */
export async function inflate(
  data: Uint8Array<ArrayBuffer> | Blob,
  format: CompressionFormat,
  most: number,
  rest: Rest = "must-end",
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const piece of inflatedPieces(data, format)) {
      parts.push(size + piece.length > most ? piece.slice(0, most - size) : piece);
      size += piece.length;
      if (size > most && rest !== "ignored") throw new RangeError(`more than ${most} bytes`);
      if (size >= most && rest === "ignored") break;
    }
  } catch (error) {
    if (!(error instanceof Trailing) || rest === "must-end") throw error;
  }
  const whole = new Uint8Array(Math.min(size, most));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What `inflate` throws as a fault of the file. */
export function inflated<T>(found: Promise<T>, fault: (got: string) => Fault): Promise<T> {
  return found.catch((error: unknown) => {
    throw asFault(error, fault);
  });
}

/** A fault in place of what decompression throws; anything else stays what it is. */
export function asFault(error: unknown, fault: (got: string) => Fault): unknown {
  if (error instanceof RangeError || error instanceof TypeError || error instanceof DOMException) {
    return fault(error instanceof RangeError ? error.message : "damaged or truncated compressed data");
  }
  return error;
}

/** Small pieces, none read ahead; single bytes from a place on. */
class Pieces implements UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  /** Where the piece that was handed over last begins. */
  last = 0;
  /** Whether all of it was handed over. */
  ended = false;
  private at = 0;
  private block: Uint8Array<ArrayBuffer> = new Uint8Array();
  private base = 0;

  constructor(private readonly data: Uint8Array<ArrayBuffer> | Blob, private readonly bytesFrom = Infinity) {
    if (!(data instanceof Blob)) this.block = data;
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    const end = this.base + this.block.length;
    if (this.at >= end && this.data instanceof Blob && end < this.data.size) {
      this.block = new Uint8Array(await this.data.slice(end, end + (end === 0 ? PIECE : BLOCK)).arrayBuffer());
      this.base = end;
    }
    const from = this.at - this.base;
    if (from >= this.block.length) {
      this.ended = true;
      controller.close();
      return;
    }
    // A copy, as the decompressor may take its bytes away; pieces end at the same places each time.
    const single = this.at >= this.bytesFrom && this.at < this.bytesFrom + PIECE;
    const size = Math.min(Math.max(this.at, SMALL), PIECE);
    const piece = this.block.slice(from, from + (single ? 1 : size));
    this.last = this.at;
    this.at += piece.length;
    controller.enqueue(piece);
  }
}
