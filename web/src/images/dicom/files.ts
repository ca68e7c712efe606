// One DICOM file: recognised by its first bytes, and parsed as far as its pixels, within limits.
//
// Only as much of a file is read as its header needs; a deflated one is inflated under a cap. Files without preamble and
// meta information, as some archives still store them, are recognised by their first element.
// Source: DICOM PS3.10, 7.1 and 8.6; PS3.5, A.1 to A.5.
import { inflate, inflated } from "../../bundle/inflate";
import { LIMITS } from "../../bundle/limits";
import { Fault } from "../../faults";
import { type DataSet, type Encoding, type Input, type PixelElement, readElements, Short } from "./elements";

export const IMPLICIT = "1.2.840.10008.1.2";
export const EXPLICIT = "1.2.840.10008.1.2.1";
export const DEFLATED = "1.2.840.10008.1.2.1.99";
export const BIG_ENDIAN = "1.2.840.10008.1.2.2";
/** Transfer syntaxes whose pixels are not compressed one by one. */
export const NATIVE: ReadonlySet<string> = new Set([IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN]);

/** Bytes that show whether a file is DICOM, and whether it is a medium's directory. */
const HEAD = 512;
/** Bytes read first, and by what that grows: a header of a single image has less. */
const [AT_FIRST, GROWTH] = [1 << 18, 16];
const MOST_META = 1 << 16;
/** Largest deflated file once inflated, of which several are read at once; deflation shrinks up to a thousandfold. */
const MOST_INFLATED = 1 << 26;
/** MediaStorageSOPClassUID of a DICOMDIR, as the meta information of every one encodes it. */
const DIRECTORY = "\x02\0\x02\0UI\x14\x001.2.840.10008.1.3.10";
const LONG = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);

export interface Parsed {
  readonly data: DataSet;
  readonly syntax: string;
  readonly pixels: PixelElement | undefined;
  /** The file, or what it is inflated to: where the pixels' offset counts from. */
  readonly body: Blob;
}

/** What a file's first bytes show: "directory" is a DICOMDIR, which lists a medium's files and holds no image. */
export async function looksLike(file: File): Promise<"dicom" | "directory" | "other"> {
  const head = await bytesOf(file, 0, HEAD, file.name);
  if (isPart10(head)) return String.fromCharCode(...head).includes(DIRECTORY) ? "directory" : "dicom";
  return bareSyntax(head) === undefined ? "other" : "dicom";
}

/**
 * Parse a file as far as its pixels.
 *
 * @param keep The elements to keep.
 * @throws Fault "dicom-damaged", "file-too-large" or "file-unreadable".
 */
export async function parse(file: File, keep: ReadonlySet<number>): Promise<Parsed> {
  if (file.size > LIMITS.volumeFileBytes) throw new Fault("file-too-large", { file: file.name, most: LIMITS.volumeFileBytes, got: file.size });
  for (let count = AT_FIRST; ; count *= GROWTH) {
    const bytes = await bytesOf(file, 0, count, file.name);
    const input: Input = { bytes, whole: bytes.length >= file.size, file: file.name };
    try {
      const { syntax, at } = begun(input);
      if (syntax === DEFLATED) return await parsedInflated(file, at, keep);
      return { ...readElements(input, at, encodingOf(syntax), keep), syntax, body: file };
    } catch (error) {
      if (!(error instanceof Short) || input.whole) throw error;
    }
  }
}

/** A part of what a file holds; a file that was moved or changed since is a fault. */
export async function bytesOf(body: Blob, from: number, to: number, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await body.slice(from, to).arrayBuffer());
  } catch (error) {
    throw new Fault("file-unreadable", { file: name, got: error instanceof Error ? error.name : "" }, { cause: error });
  }
}

async function parsedInflated(file: File, at: number, keep: ReadonlySet<number>): Promise<Parsed> {
  const damaged = (got: string): Fault => new Fault("dicom-damaged", { file: file.name, expected: `whole deflated data of at most ${MOST_INFLATED} bytes`, got });
  // A byte that makes the length even follows the compressed data of some; what is cut off is missed by those who need it.
  const bytes = await inflated(inflate(file.slice(at), "deflate-raw", MOST_INFLATED, "may-follow"), damaged);
  const found = readElements({ bytes, whole: true, file: file.name }, 0, encodingOf(DEFLATED), keep);
  return { ...found, syntax: DEFLATED, body: new Blob([bytes]) };
}

function encodingOf(syntax: string): Encoding {
  return { implicit: syntax === IMPLICIT, little: syntax !== BIG_ENDIAN };
}

function isPart10(head: Uint8Array): boolean {
  return String.fromCharCode(...head.subarray(128, 132)) === "DICM";
}

/** The transfer syntax, and where the data set begins. */
function begun(input: Input): { syntax: string; at: number } {
  if (isPart10(input.bytes)) return metaSyntax(input);
  const syntax = bareSyntax(input.bytes);
  if (syntax === undefined) throw new Fault("dicom-damaged", { file: input.file, expected: "a DICOM file", got: "something else" });
  return { syntax, at: 0 };
}

/** The encoding of a data set without preamble; undefined if it does not begin with group 8. */
function bareSyntax(head: Uint8Array<ArrayBuffer>): string | undefined {
  if (head.length < 16 || head[0] !== 8 || head[1] !== 0 || (head[2] as number) > 0x60) return undefined;
  if ((head[2] as number) === 0x60 && (head[3] as number) > 0) return undefined;
  const isLetter = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x41 && byte <= 0x5a;
  const explicit = isLetter(head[4]) && isLetter(head[5]);
  const view = new DataView(head.buffer, head.byteOffset, 16);
  const length = explicit ? view.getUint16(6, true) : view.getUint32(4, true);
  return length > 1024 ? undefined : explicit ? EXPLICIT : IMPLICIT;
}

/** The transfer syntax that the meta information names, and where the data set after it begins. */
function metaSyntax({ bytes, whole, file }: Input): { syntax: string; at: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [syntax, at] = [IMPLICIT, 132]; // the default where none is named
  while (at < MOST_META) {
    if (at + 8 > bytes.length || view.getUint16(at, true) !== 2) {
      if (at + 8 > bytes.length && !whole) throw new Short();
      return { syntax: syntax === "" ? IMPLICIT : syntax, at };
    }
    const long = LONG.has(String.fromCharCode(bytes[at + 4] as number, bytes[at + 5] as number));
    if (long && at + 12 > bytes.length) break;
    const length = long ? view.getUint32(at + 8, true) : view.getUint16(at + 6, true);
    const from = at + (long ? 12 : 8);
    if (view.getUint16(at + 2, true) === 0x10 && length <= 64) {
      syntax = String.fromCharCode(...bytes.subarray(from, from + length)).replace(/^[\0 ]+|[\0 ]+$/g, "");
    }
    at = from + length;
  }
  throw new Fault("dicom-damaged", { file, expected: "file meta information that ends", got: "an early end, or none" });
}
