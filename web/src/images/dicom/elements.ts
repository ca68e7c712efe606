// The elements of a DICOM data set, walked under caps, and their values: one that is not what its tag calls for counts as
// missing, as the runtime has it.
//
// Nothing that a length says is believed beyond the bytes that are there. Source: DICOM PS3.5, 6.2, 7.1, 7.5 and A.1 to A.4.
import { Fault } from "../../faults";

/** The bytes end within an element, and the file has more of them. */
export class Short extends Error {
  override readonly name = "Short";
}

export interface Encoding {
  readonly implicit: boolean;
  readonly little: boolean;
}

/** Bytes that are walked. */
export interface Input {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether the bytes are the file to its end. */
  readonly whole: boolean;
  /** As errors name it. */
  readonly file: string;
}

/** Where pixels are, from the first byte of what was walked. */
export interface PixelElement {
  readonly tag: number;
  readonly vr: string;
  readonly offset: number;
  /** undefined where compressed frames follow one another until a delimiter. */
  readonly length: number | undefined;
}

interface Element {
  readonly vr: string;
  readonly offset: number;
  readonly length: number;
  items?: readonly DataSet[];
}

const PIXELS = new Set([0x7fe00008, 0x7fe00009, 0x7fe00010]);
const FIRST_PIXELS = 0x7fe00008;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const UNDEFINED = 0xffffffff;
/** Representations whose length has four bytes. */
const LONG = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
/** Sequences within sequences that are followed; enhanced objects have four. */
const DEEPEST = 100;
/** Elements that are kept of a file; an object of 2,000 frames has 100,000. */
const MOST_ELEMENTS = 4_000_000;
/** Of a value that is read as text or numbers, and of a text that is kept. */
const MOST_BYTES = 4096;
const MOST_CHARACTERS = 256;
/** Binary numbers: bytes, and how they are read. */
const BINARY: Readonly<Record<string, [number, (view: DataView, at: number, little: boolean) => number]>> = {
  US: [2, (view, at, little) => view.getUint16(at, little)], SS: [2, (view, at, little) => view.getInt16(at, little)],
  UL: [4, (view, at, little) => view.getUint32(at, little)], SL: [4, (view, at, little) => view.getInt32(at, little)],
  FL: [4, (view, at, little) => view.getFloat32(at, little)], FD: [8, (view, at, little) => view.getFloat64(at, little)],
  UV: [8, (view, at, little) => Number(view.getBigUint64(at, little))], SV: [8, (view, at, little) => Number(view.getBigInt64(at, little))],
};
/** Representation of the binary numbers that are asked for, where the file does not state it; all others are text. */
const STATED: Readonly<Record<number, string>> = {
  0x00189079: "FD", 0x00189082: "FD", 0x00189087: "FD", 0x00280002: "US", 0x00280010: "US", 0x00280011: "US", 0x00280100: "US",
  0x00280101: "US", 0x00280102: "US", 0x00280103: "US",
};
/** Character sets by DICOM's terms, as browsers name them; the rest is read as Latin-1, which takes any byte. */
const CHARSETS: readonly (readonly [RegExp, string])[] = [
  [/^ISO_IR 192$/, "utf-8"], [/^(GB18030|GBK)$/, "gb18030"], [/IR 101$/, "iso-8859-2"], [/IR 109$/, "iso-8859-3"], [/IR 110$/, "iso-8859-4"],
  [/IR 144$/, "iso-8859-5"], [/IR 127$/, "iso-8859-6"], [/IR 126$/, "iso-8859-7"], [/IR 138$/, "iso-8859-8"], [/IR 148$/, "windows-1254"],
  [/IR 166$/, "windows-874"], [/IR 13$/, "shift_jis"], [/IR 87$/, "iso-2022-jp"], [/IR 149$/, "euc-kr"],
];

/** A data set, or an item of a sequence: the elements that were kept, by tag. */
export class DataSet {
  constructor(
    private readonly input: Input,
    private readonly encoding: Encoding,
    private readonly elements: ReadonlyMap<number, Element>,
    /** SpecificCharacterSet of the data set around it. */
    private readonly charset: () => string = () => this.raw(0x00080005),
  ) {}

  has(tag: number): boolean {
    return this.elements.has(tag);
  }

  /** A text as it is stored, a character for each byte; "" if there is none. */
  raw(tag: number): string {
    const bytes = this.bytesOf(tag);
    return bytes === undefined ? "" : latin1(bytes).replaceAll("\0", "").trim().slice(0, MOST_CHARACTERS);
  }

  /** A text without NULs, control characters and surrounding blanks; "" if there is none. */
  text(tag: number): string {
    const bytes = this.bytesOf(tag);
    if (bytes === undefined) return "";
    const plain = bytes.every((byte) => byte < 0x80 && byte !== 0x1b);
    const decoded = (plain ? latin1(bytes) : this.decoded(bytes)).replace(/^[\0 ]+|[\0 ]+$/g, "");
    return decoded.replace(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, " ").trim().slice(0, MOST_CHARACTERS);
  }

  texts(tag: number): string[] {
    const whole = this.text(tag);
    return whole === "" ? [] : whole.split("\\").map((each) => each.trim());
  }

  /** A UID of digits and dots; "" if it is missing or anything else. */
  uid(tag: number): string {
    const value = this.text(tag);
    return /^[0-9]+(\.[0-9]+)*$/.test(value) && value.length <= 64 ? value : "";
  }

  /** Finite numbers, stored as text or binary; none if one of them is no number. */
  numbers(tag: number): number[] {
    const bytes = this.bytesOf(tag);
    if (bytes === undefined) return [];
    const vr = this.elements.get(tag)?.vr ?? "";
    const binary = BINARY[vr === "" || vr === "UN" ? (STATED[tag] ?? "") : vr];
    const values = binary === undefined ? fromText(bytes) : fromBinary(bytes, binary, this.encoding.little);
    return values.every(Number.isFinite) ? values : [];
  }

  number(tag: number): number | undefined {
    return this.numbers(tag)[0];
  }

  /** The first of some numbers if it is whole. */
  whole(tag: number): number | undefined {
    const value = this.number(tag);
    return value !== undefined && Number.isInteger(value) ? value : undefined;
  }

  /** A 16-bit value whose sign is that of the pixels, such as the padding value. */
  word(tag: number, signed: boolean): number | undefined {
    const bytes = this.bytesOf(tag);
    if (bytes === undefined || bytes.length < 2) return undefined;
    return (BINARY[signed ? "SS" : "US"] as (typeof BINARY)[string])[1](viewOf(bytes), 0, this.encoding.little);
  }

  /** The items of a sequence; none if there is none, or it is damaged. */
  items(tag: number): readonly DataSet[] {
    const element = this.elements.get(tag);
    if (element === undefined) return [];
    try {
      const { implicit, little } = this.encoding;
      const inside: Encoding = element.vr === "UN" ? { implicit: true, little } : { implicit, little };
      return (element.items ??= new Walk(this.input, this.charset).sequence(element.offset, inside, 1, element.offset + element.length, true).items);
    } catch (error) {
      if (error instanceof Fault || error instanceof Short) return [];
      throw error;
    }
  }

  first(tag: number): DataSet | undefined {
    return this.items(tag)[0];
  }

  private bytesOf(tag: number): Uint8Array<ArrayBuffer> | undefined {
    const element = this.elements.get(tag);
    if (element === undefined || element.items !== undefined || element.length === 0 || element.length > MOST_BYTES) return undefined;
    return this.input.bytes.subarray(element.offset, element.offset + element.length);
  }

  private decoded(bytes: Uint8Array<ArrayBuffer>): string {
    const terms = this.charset().split("\\").map((term) => term.trim());
    const found = terms.map((term) => CHARSETS.find(([known]) => known.test(term))?.[1]).filter((name) => name !== undefined);
    try {
      // Of several sets the last is the one that escapes switch to.
      return new TextDecoder(found[found.length - 1] ?? "windows-1252", { fatal: true }).decode(bytes);
    } catch {
      return latin1(bytes);
    }
  }
}

/**
 * Walk a data set as far as its pixels.
 *
 * @param at Where it begins.
 * @param encoding As the file states it; a data set that is encoded otherwise is recognised by its first element.
 * @param keep The elements to keep.
 * @throws Short: the bytes end before the pixels, and are not the whole file. Fault "dicom-damaged".
 */
export function readElements(input: Input, at: number, encoding: Encoding, keep: ReadonlySet<number>): { data: DataSet; pixels: PixelElement | undefined } {
  const { bytes } = input;
  const found = at + 6 <= bytes.length ? { implicit: !isRepresentation(bytes, at + 4), little: encoding.little } : encoding;
  const { elements, pixels } = new Walk(input, () => "").dataSet(at, found, 0, bytes.length, (tag) => keep.has(tag));
  return { data: new DataSet(input, found, elements), pixels };
}

interface Walked {
  readonly elements: Map<number, Element>;
  readonly at: number;
  readonly pixels: PixelElement | undefined;
}

class Walk {
  private kept = 0;
  private readonly view: DataView;

  constructor(private readonly input: Input, private readonly charset: () => string) {
    this.view = viewOf(input.bytes);
  }

  /** Elements up to an end, the pixels, or the delimiter of an item. */
  dataSet(start: number, encoding: Encoding, depth: number, end: number, keep: (tag: number) => boolean): Walked {
    const { bytes } = this.input;
    const elements = new Map<number, Element>();
    let at = start;
    for (;;) {
      if (at + 8 > end) {
        if (depth > 0 && at < end) throw this.damaged("elements that end with their item");
        if (depth === 0) this.needsMore();
        return { elements, at: end, pixels: undefined };
      }
      const tag = this.tag(at, encoding.little);
      if (tag === ITEM_END) return { elements, at: at + 8, pixels: undefined };
      const stated = !encoding.implicit && isStated(bytes, at + 4);
      const vr = stated ? latin1(bytes.subarray(at + 4, at + 6)) : "";
      const long = LONG.has(vr);
      if (long && at + 12 > end) {
        this.needsMore();
        throw this.damaged("a whole element");
      }
      const length = stated && !long ? this.view.getUint16(at + 6, encoding.little) : this.view.getUint32(at + (long ? 8 : 4), encoding.little);
      const offset = at + (long ? 12 : 8);
      if (depth === 0 && tag >= FIRST_PIXELS) {
        return { elements, at, pixels: PIXELS.has(tag) ? { tag, vr, offset, length: length === UNDEFINED ? undefined : length } : undefined };
      }
      const wanted = keep(tag);
      if (length === UNDEFINED) {
        const inside = vr === "UN" ? { ...encoding, implicit: true } : encoding;
        const { items, at: next } = this.sequence(offset, inside, depth + 1, depth === 0 ? bytes.length : end, wanted);
        if (wanted) this.keep(elements, tag, { vr, offset, length: 0, items });
        at = next;
        continue;
      }
      if (offset + length > end) {
        if (depth === 0) this.needsMore();
        if (wanted || depth > 0) throw this.damaged("a header that is whole");
        return { elements, at: end, pixels: undefined }; // as other readers do: what follows is not there
      }
      if (wanted) this.keep(elements, tag, { vr, offset, length });
      at = offset + length;
    }
  }

  /** The items of a sequence up to its delimiter, or to its end. */
  sequence(start: number, encoding: Encoding, depth: number, end: number, keep: boolean): { items: DataSet[]; at: number } {
    if (depth > DEEPEST) throw this.damaged(`at most ${DEEPEST} sequences within each other`);
    const items: DataSet[] = [];
    let at = start;
    while (at < end) {
      if (at + 8 > end) break;
      const [tag, length] = [this.tag(at, encoding.little), this.view.getUint32(at + 4, encoding.little)];
      if (tag === SEQUENCE_END) return { items, at: at + 8 };
      if (tag !== ITEM) throw this.damaged("the items of a sequence");
      const last = length === UNDEFINED ? end : at + 8 + length;
      if (last > end) {
        this.needsMore();
        throw this.damaged("items that are whole");
      }
      if (!keep && length !== UNDEFINED) {
        at = last;
        continue;
      }
      const { elements, at: next } = this.dataSet(at + 8, encoding, depth, last, () => keep);
      if (keep) items.push(new DataSet(this.input, encoding, elements, this.charset));
      at = length === UNDEFINED ? next : last;
    }
    if (end === this.input.bytes.length) this.needsMore();
    return { items, at: end };
  }

  private tag(at: number, little: boolean): number {
    return this.view.getUint16(at, little) * 0x10000 + this.view.getUint16(at + 2, little);
  }

  private keep(elements: Map<number, Element>, tag: number, element: Element): void {
    this.kept += 1;
    if (this.kept > MOST_ELEMENTS) throw this.damaged(`at most ${MOST_ELEMENTS} elements`);
    elements.set(tag, element);
  }

  private needsMore(): void {
    if (!this.input.whole) throw new Short();
  }

  private damaged(expected: string): Fault {
    return new Fault("dicom-damaged", { file: this.input.file, expected, got: "something else, or an early end" });
  }
}

function isRepresentation(bytes: Uint8Array, at: number): boolean {
  return [bytes[at] as number, bytes[at + 1] as number].every((byte) => byte >= 0x41 && byte <= 0x5a);
}

/** Whether an element says its representation; damaged ones count as such as far as other readers take them for it. */
function isStated(bytes: Uint8Array, at: number): boolean {
  const vr = latin1(bytes.subarray(at, at + 2));
  return vr >= "AA" && vr <= "ZZ";
}

function viewOf(bytes: Uint8Array<ArrayBuffer>): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, MOST_BYTES));
}

/** Decimal strings as Python reads them. */
function fromText(bytes: Uint8Array): number[] {
  const parts = latin1(bytes).replaceAll("\0", " ").trim().split("\\").map((part) => part.trim());
  return parts.map((part) => (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(part) ? Number(part) : Number.NaN));
}

function fromBinary(bytes: Uint8Array<ArrayBuffer>, [size, get]: (typeof BINARY)[string], little: boolean): number[] {
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => get(view, index * size, little));
}
