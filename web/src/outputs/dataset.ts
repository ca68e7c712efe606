// DICOM data sets as bytes: explicit VR, little endian, tags in order.
// Source: DICOM PS3.5, 7 (data set), 6.2 (value representations); PS3.10, 7 (files).

export type Vr = "AS" | "AT" | "CS" | "DA" | "DS" | "FD" | "IS" | "LO" | "OB" | "PN" | "SH" | "SQ" | "ST" | "TM" | "UI" | "UL" | "US" | "UT" | "LT";
/** A data set: value by tag, such as "00100020". Texts hold a character for each byte. */
export type DataSet = Map<string, readonly [vr: Vr, value: Value]>;
type Value = string | readonly (string | number)[] | number | Uint8Array | readonly DataSet[];

const LONG = new Set<Vr>(["OB", "SQ", "UT"]);
const SYNTAX = "1.2.840.10008.1.2.1";

/** A data set from its elements. */
export function dataset(elements: readonly (readonly [tag: string, vr: Vr, value: Value])[]): DataSet {
  return new Map(elements.map(([tag, vr, value]) => [tag, [vr, value]]));
}

/** The bytes of a DICOM file. */
export function encodeFile(data: DataSet, implementation: { readonly uid: string; readonly version: string }): Uint8Array<ArrayBuffer> {
  const text = (tag: string): string => String(data.get(tag)?.[1] ?? "");
  const meta = encode(dataset([
    ["00020001", "OB", Uint8Array.of(0, 1)], ["00020002", "UI", text("00080016")], ["00020003", "UI", text("00080018")],
    ["00020010", "UI", SYNTAX], ["00020012", "UI", implementation.uid], ["00020013", "SH", implementation.version],
  ]));
  const length = encode(dataset([["00020000", "UL", meta.length]]));
  const start = new Uint8Array(132);
  start.set([0x44, 0x49, 0x43, 0x4d], 128);
  return joined([start, length, meta, encode(data)]);
}

/** A data set's bytes. */
function encode(data: DataSet): Uint8Array<ArrayBuffer> {
  return joined([...data].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tag, [vr, value]]) => element(tag, vr, value)));
}

function element(tag: string, vr: Vr, value: Value): Uint8Array<ArrayBuffer> {
  const bytes = valueBytes(vr, value);
  const head = new DataView(new ArrayBuffer(LONG.has(vr) ? 12 : 8));
  head.setUint16(0, Number.parseInt(tag.slice(0, 4), 16), true);
  head.setUint16(2, Number.parseInt(tag.slice(4), 16), true);
  head.setUint8(4, vr.charCodeAt(0));
  head.setUint8(5, vr.charCodeAt(1));
  if (LONG.has(vr)) head.setUint32(8, bytes.length, true);
  else if (bytes.length > 0xffff) throw new RangeError(`${tag} is too long`);
  else head.setUint16(6, bytes.length, true);
  return joined([new Uint8Array(head.buffer), bytes]);
}

function valueBytes(vr: Vr, value: Value): Uint8Array<ArrayBuffer> {
  if (value instanceof Uint8Array) return padded(value, 0);
  if (vr === "SQ") return joined((value as readonly DataSet[]).map(item));
  const list = (Array.isArray(value) ? value : [value]) as readonly (string | number)[];
  if (vr === "US" || vr === "UL" || vr === "FD" || vr === "AT") return binary(vr, list);
  const text = list.join("\\");
  return padded(Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff), vr === "UI" ? 0 : 0x20);
}

function binary(vr: "US" | "UL" | "FD" | "AT", values: readonly (string | number)[]): Uint8Array<ArrayBuffer> {
  const size = { US: 2, UL: 4, FD: 8, AT: 4 }[vr];
  const view = new DataView(new ArrayBuffer(size * values.length));
  values.forEach((value, index) => {
    const at = index * size;
    if (vr === "US") view.setUint16(at, Number(value), true);
    else if (vr === "UL") view.setUint32(at, Number(value), true);
    else if (vr === "FD") view.setFloat64(at, Number(value), true);
    else {
      view.setUint16(at, Number.parseInt(String(value).slice(0, 4), 16), true);
      view.setUint16(at + 2, Number.parseInt(String(value).slice(4), 16), true);
    }
  });
  return new Uint8Array(view.buffer);
}

function item(data: DataSet): Uint8Array<ArrayBuffer> {
  const bytes = encode(data);
  const head = new DataView(new ArrayBuffer(8));
  head.setUint16(0, 0xfffe, true);
  head.setUint16(2, 0xe000, true);
  head.setUint32(4, bytes.length, true);
  return joined([new Uint8Array(head.buffer), bytes]);
}

function padded(bytes: Uint8Array, by: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes.length + (bytes.length % 2)).fill(by);
  whole.set(bytes);
  return whole;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A decimal string of at most 16 characters; never "-0". */
export function decimal(value: number): string {
  const exact = String(value === 0 ? 0 : value);
  if (exact.length <= 16) return exact;
  for (let digits = 15; digits > 0; digits -= 1) {
    const shorter = String(Number(value.toPrecision(digits)));
    if (shorter.length <= 16) return shorter;
  }
  return "0";
}

/** A new UID out of random bits. Source: ITU-T X.667; DICOM PS3.5 B.2. */
export function newUid(): string {
  const bits = BigInt(`0x${crypto.randomUUID().replaceAll("-", "")}`);
  return `2.25.${bits}`;
}
