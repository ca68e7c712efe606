// Lossless JPEG (process 14) of one component: each value is predicted from its neighbours, the difference Huffman coded.
//
// Scanners and archives store MR in it, for the most part with the first predictor. Source: ITU-T T.81, annex H.
import { Fault } from "../../faults";

const SOI = 0xd8;
const SOF3 = 0xc3;
const DHT = 0xc4;
const SOS = 0xda;
const DRI = 0xdd;
const EOI = 0xd9;
const MOST_BITS = 16;

/** Codes of a length are those from `first` on, their values those from `at` on. */
interface Table {
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly at: Int32Array;
  readonly values: Uint8Array;
}

/**
 * Decode a frame.
 *
 * @param data A whole JPEG stream.
 * @returns rows * columns values of at most 16 bits.
 * @throws Fault "dicom-damaged": it is cut off, damaged, of another size or of another process.
 */
export function fromLosslessJpeg(data: Uint8Array, rows: number, columns: number, file: string): Uint16Array<ArrayBuffer> {
  const damaged = (expected: string, got: string | number): Fault => new Fault("dicom-damaged", { file, expected, got });
  const word = (at: number): number => {
    if (at + 2 > data.length) throw damaged("a whole JPEG stream", "an early end");
    return ((data[at] as number) << 8) | (data[at + 1] as number);
  };
  if (data[0] !== 0xff || data[1] !== SOI) throw damaged("a JPEG stream", "something else");
  const tables = new Map<number, Table>();
  let [precision, restart, at] = [0, 0, 2];
  for (;;) {
    if (word(at) >> 8 !== 0xff) throw damaged("a JPEG marker", data[at] as number);
    const marker = data[at + 1] as number;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const length = word(at + 2);
    const [from, end] = [at + 4, at + 2 + length];
    if (length < 2 || end > data.length) throw damaged("a whole JPEG stream", "an early end");
    if (marker === DHT) readTables(data.subarray(from, end), tables, damaged);
    else if (marker === DRI) restart = word(from);
    else if (marker === SOF3) {
      precision = data[from] as number;
      const got = [word(from + 1), word(from + 3), data[from + 5] as number];
      if (got[0] !== rows || got[1] !== columns || got[2] !== 1) throw damaged(`${rows} x ${columns} pixels of one sample`, got.join(" x "));
      if (precision < 2 || precision > MOST_BITS) throw damaged("2 to 16 bits", precision);
    } else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc8 && marker !== 0xcc) {
      throw damaged("lossless JPEG with Huffman codes", `process ${marker - 0xc0}`);
    } else if (marker === EOI) throw damaged("a scan", "none");
    else if (marker === SOS) {
      const table = tables.get((data[from + 2] as number) >> 4);
      const [predictor, shift] = [data[from + 3] as number, (data[from + 5] as number) & 15];
      if (precision === 0 || data[from] !== 1 || table === undefined || predictor < 1 || predictor > 7 || shift >= precision) {
        throw damaged("a scan that lossless JPEG defines", "another");
      }
      return scanned(new Bits(data, end), table, { rows, columns, predictor, shift, precision, restart }, damaged);
    }
    at = end;
  }
}

type Damaged = (expected: string, got: string | number) => Fault;

function readTables(data: Uint8Array, tables: Map<number, Table>, damaged: Damaged): void {
  let at = 0;
  while (at < data.length) {
    const counts = data.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const values = data.subarray(at + 17, at + 17 + total);
    if (counts.length < 16 || values.length < total) throw damaged("whole Huffman tables", "cut ones");
    const [first, last, from] = [new Int32Array(17), new Int32Array(17).fill(-1), new Int32Array(17)];
    let [code, place] = [0, 0];
    for (let bits = 1; bits <= 16; bits += 1) {
      const count = counts[bits - 1] as number;
      [first[bits], from[bits], last[bits]] = [code, place, count > 0 ? code + count - 1 : -1];
      code = (code + count) << 1;
      place += count;
    }
    tables.set((data[at] as number) & 15, { first, last, at: from, values });
    at += 17 + total;
  }
}

interface Scan {
  readonly rows: number;
  readonly columns: number;
  readonly predictor: number;
  readonly shift: number;
  readonly precision: number;
  readonly restart: number;
}

function scanned(bits: Bits, table: Table, { rows, columns, predictor, shift, precision, restart }: Scan, damaged: Damaged): Uint16Array<ArrayBuffer> {
  const values = new Uint16Array(rows * columns);
  const middle = 1 << (precision - shift - 1);
  let begun = 0; // the pixel at which the scan, or its part since a restart, began
  for (let at = 0; at < values.length; at += 1) {
    if (restart > 0 && at > 0 && at % restart === 0) {
      if (!bits.restart()) throw damaged("a restart marker", "none");
      begun = at;
    }
    const difference = differenceOf(bits, table);
    if (difference === undefined) throw damaged(`${rows * columns} pixels`, at);
    const x = at % columns;
    const left = x > 0 ? (values[at - 1] as number) : 0;
    const up = at >= columns ? (values[at - columns] as number) : 0;
    const corner = x > 0 && at >= columns ? (values[at - columns - 1] as number) : 0;
    const inFirstRow = at - begun < columns - (begun % columns);
    const guess = at === begun ? middle : inFirstRow ? left : x === 0 ? up : predicted(predictor, left, up, corner);
    values[at] = guess + difference; // modulo 65,536, as the standard has it
  }
  if (shift > 0) for (let at = 0; at < values.length; at += 1) values[at] = (values[at] as number) << shift;
  return values;
}

function predicted(predictor: number, left: number, up: number, corner: number): number {
  switch (predictor) {
    case 1: return left;
    case 2: return up;
    case 3: return corner;
    case 4: return left + up - corner;
    case 5: return left + ((up - corner) >> 1);
    case 6: return up + ((left - corner) >> 1);
    default: return (left + up) >> 1;
  }
}

/** The next difference; undefined at the data's end, or for a code that is none. */
function differenceOf(bits: Bits, { first, last, at, values }: Table): number | undefined {
  let code = 0;
  for (let length = 1; length <= 16; length += 1) {
    const bit = bits.next();
    if (bit < 0) return undefined;
    code = (code << 1) | bit;
    if ((last[length] as number) >= code && code >= (first[length] as number)) {
      const size = values[(at[length] as number) + code - (first[length] as number)] as number;
      if (size === 0) return 0;
      if (size === 16) return 32768;
      if (size > 16) return undefined;
      let value = 0;
      for (let index = 0; index < size; index += 1) {
        const one = bits.next();
        if (one < 0) return undefined;
        value = (value << 1) | one;
      }
      return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
    }
  }
  return undefined;
}

/** Bits of entropy-coded data, highest first; a marker ends them. */
class Bits {
  private byte = 0;
  private left = 0;

  constructor(private readonly data: Uint8Array, private at: number) {}

  /** 0 or 1; -1 at the end. */
  next(): number {
    if (this.left === 0) {
      const byte = this.data[this.at];
      if (byte === undefined || (byte === 0xff && this.data[this.at + 1] !== 0)) return -1;
      this.at += byte === 0xff ? 2 : 1;
      [this.byte, this.left] = [byte, 8];
    }
    this.left -= 1;
    return (this.byte >> this.left) & 1;
  }

  /** Go on after a restart marker; false if there is none here. */
  restart(): boolean {
    this.left = 0;
    const marker = this.data[this.at + 1] ?? 0;
    if (this.data[this.at] !== 0xff || marker < 0xd0 || marker > 0xd7) return false;
    this.at += 2;
    return true;
  }
}
