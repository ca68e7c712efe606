// Golden cases: images and the answers that each variant must give, so that the page can check its own machine.
//
// golden.npz is a zip of NPY arrays, for case k (000, 001, ...) and each variant v:
//     k.image (N, H, W, 3) uint8; k.v.mask (N, H, W) uint8; k.v.probability (N, H, W) float32
// Nothing that it states about sizes is believed. Sources: APPNOTE.TXT 6.3.10 (zip); NumPy's NEP 1 (NPY).
import { Fault, shown } from "../faults";
import { inflate } from "./inflate";
import { LIMITS } from "./limits";

export interface Answer {
  /** N*H*W values 0 or 1. */
  readonly mask: Uint8Array;
  /** N*H*W values in [0, 1]. */
  readonly probability: Float32Array;
}
export interface GoldenCase {
  readonly shape: readonly [n: number, height: number, width: number];
  /** N*H*W*3. */
  readonly image: Uint8Array;
  readonly answers: ReadonlyMap<string, Answer>;
}

const ENTRY = /^([0-9]{3})\.(?:([A-Za-z0-9][A-Za-z0-9_+-]{0,63})\.)?(image|mask|probability)\.npy$/;
const MAX_ENTRIES = 1000;
const DTYPES: Readonly<Record<string, string>> = { image: "|u1", mask: "|u1", probability: "<f4" };
const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;

/**
 * Read golden.npz.
 *
 * @throws Fault "bundle-schema": it is no such file, exceeds the cap, or its arrays do not fit together.
 */
export async function readGolden(data: Uint8Array<ArrayBuffer>): Promise<GoldenCase[]> {
  const arrays = new Map<string, Map<string, Npy>>();
  for (const [name, bytes] of await unzip(data)) {
    const [, number = "", variant = "", kind = ""] = ENTRY.exec(name) ?? [];
    if (kind === "" || (kind === "image") !== (variant === "")) throw damaged("entries of cases", shown(name));
    const of = arrays.get(number) ?? new Map<string, Npy>();
    arrays.set(number, of.set(`${variant}.${kind}`, npy(bytes, DTYPES[kind] ?? "")));
  }
  return [...arrays.keys()].sort().map((number) => goldenCase(number, arrays.get(number) ?? new Map()));
}

interface Npy {
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

function damaged(expected: string, got: string): Fault {
  return new Fault("bundle-schema", { where: "golden.npz", expected, got });
}

function goldenCase(number: string, arrays: ReadonlyMap<string, Npy>): GoldenCase {
  const image = arrays.get(".image");
  const [n = 0, height = 0, width = 0, channels = 0] = image?.shape ?? [];
  if (image === undefined || image.shape.length !== 4 || channels !== 3) {
    throw damaged("an image (N, H, W, 3)", `case ${number}`);
  }
  const answers = new Map<string, Answer>();
  const variants = new Set([...arrays.keys()].map((key) => key.slice(0, key.indexOf("."))).filter((name) => name !== ""));
  for (const variant of variants) {
    const mask = arrays.get(`${variant}.mask`);
    const probability = arrays.get(`${variant}.probability`);
    const fits = (each: Npy | undefined): each is Npy => String(each?.shape) === String([n, height, width]);
    if (!fits(mask) || !fits(probability)) throw damaged(`mask and probability of ${variant}`, `case ${number}`);
    answers.set(variant, { mask: mask.bytes, probability: new Float32Array(probability.bytes.slice().buffer) });
  }
  if (answers.size === 0) throw damaged("answers", `case ${number}`);
  return { shape: [n, height, width], image: image.bytes, answers };
}

/** One array; its header is checked against its length. */
function npy(data: Uint8Array<ArrayBuffer>, dtype: string): Npy {
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0];
  if (data.length < 10 || !magic.every((byte, index) => data[index] === byte)) throw damaged("NPY 1.0", "something else");
  const start = 10 + ((data[8] ?? 0) | ((data[9] ?? 0) << 8));
  const header = new TextDecoder("latin1").decode(data.subarray(10, start));
  const found = /^\{'descr': '([^']*)', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \}\s*$/.exec(header);
  const shape = (found?.[2] ?? "").split(",").map((each) => each.trim()).filter((each) => each !== "").map(Number);
  const bytes = data.subarray(start);
  const size = shape.reduce((product, length) => product * length, dtype === "<f4" ? 4 : 1);
  if (found?.[1] !== dtype || size !== bytes.length) throw damaged(`a plain ${dtype} array`, shown(header.trim()));
  return { shape, bytes };
}

/** Every entry of a zip archive by name, in the order of its directory; each name once. */
async function unzip(data: Uint8Array<ArrayBuffer>): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const end = endOf(view);
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (count > MAX_ENTRIES) throw damaged(`at most ${MAX_ENTRIES} arrays`, String(count));
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  let left = LIMITS.goldenBytes;
  try {
    for (let index = 0; index < count; index += 1) {
      if (view.getUint32(at, true) !== CENTRAL) throw damaged("a zip archive's directory", `entry ${index}`);
      const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
      const [sum, packed, size] = [view.getUint32(at + 16, true), view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
      const [name, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true)) as [number, number, number];
      const local = view.getUint32(at + 42, true);
      const title = new TextDecoder("latin1").decode(data.subarray(at + 46, at + 46 + name));
      at += 46 + name + extra + comment;
      if (found.has(title) || flags & 1 || view.getUint32(local, true) !== LOCAL || size > left) {
        throw damaged("plain entries under the cap, each once", shown(title));
      }
      left -= size;
      const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      if (start + packed > data.length) throw damaged("whole entries", shown(title));
      const bytes = data.subarray(start, start + packed);
      const whole = method === 0 ? bytes.slice() : await unpacked(bytes, method, size);
      if (whole.length !== size || crc32(whole) !== sum) throw damaged("entries that fit their checksums", shown(title));
      found.set(title, whole);
    }
  } catch (error) {
    if (error instanceof RangeError) throw damaged("a whole zip archive", "one that is cut off");
    throw error;
  }
  return found;
}

async function unpacked(bytes: Uint8Array<ArrayBuffer>, method: number, size: number): Promise<Uint8Array<ArrayBuffer>> {
  if (method !== 8) throw damaged("stored or deflated entries", `method ${method}`);
  try {
    return await inflate(bytes, "deflate-raw", size);
  } catch (error) {
    throw damaged("whole Deflate data", error instanceof Error ? error.name : "");
  }
}

/** Where the record at the archive's end begins. */
function endOf(view: DataView): number {
  for (let at = view.byteLength - 22; at >= 0 && at >= view.byteLength - 22 - 0xffff; at -= 1) {
    if (view.getUint32(at, true) === END) return at;
  }
  throw damaged("a zip archive", "no directory");
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 as zip and PNG have it. */
export function crc32(data: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of data) value = (CRC_TABLE[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
