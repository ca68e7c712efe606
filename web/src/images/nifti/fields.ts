// The bytes of a NIfTI header unpacked: both versions of the format, both byte orders, one file.
// Source: the NIfTI-1 and NIfTI-2 standards (nifti1.h, nifti2.h).
import { Fault } from "../../faults";

/** Bytes that hold either version's header. */
export const HEADER_BYTES = 540;

/** The fields used, of either version, under the standard's meanings. */
export interface NiftiFields {
  readonly little: boolean;
  /** Fewest bytes before the voxels. */
  readonly least: number;
  /** Number of dimensions, then their lengths. */
  readonly dims: readonly number[];
  readonly datatype: number;
  readonly bits: number;
  /** Handedness of the qform, then the spacings. */
  readonly pixdim: readonly number[];
  readonly offset: number;
  readonly slope: number;
  readonly intercept: number;
  readonly units: number;
  /** Of the qform and the sform; above 0 if they are set. */
  readonly codes: readonly [number, number];
  /** b, c, d, and the offsets x, y, z. */
  readonly quaternion: readonly number[];
  /** The sform's three rows of four. */
  readonly rows: readonly number[];
}

/**
 * Unpack a header, in the byte order that its first number shows.
 *
 * @throws Fault "nifti-damaged" or "nifti-kind".
 */
export function unpack(data: Uint8Array): NiftiFields {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (const little of [true, false]) {
    const size = data.length >= 4 ? view.getInt32(0, little) : 0;
    if (size === 348 && data.length >= size) return version1(view, little);
    if (size === 540 && data.length >= size) return version2(view, little);
  }
  throw new Fault("nifti-damaged", { expected: "a header of 348 or 540 bytes", got: `${data.length} bytes of something else` });
}

const magicOf = (view: DataView, at: number, length: number): string =>
  String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, length));
const list = (count: number, get: (index: number) => number): number[] => Array.from({ length: count }, (_, index) => get(index));

function version1(view: DataView, little: boolean): NiftiFields {
  if (magicOf(view, 344, 4) !== "n+1\0") throw new Fault("nifti-kind", { expected: "a NIfTI file, .nii or .nii.gz", got: "Analyze, or half of a pair" });
  const short = (at: number): number => view.getInt16(at, little);
  const single = (at: number): number => view.getFloat32(at, little);
  return {
    little, least: 352, dims: list(8, (i) => short(40 + 2 * i)), datatype: short(70), bits: short(72),
    pixdim: list(8, (i) => single(76 + 4 * i)), offset: single(108), slope: single(112), intercept: single(116),
    units: view.getUint8(123), codes: [short(252), short(254)], quaternion: list(6, (i) => single(256 + 4 * i)),
    rows: list(12, (i) => single(280 + 4 * i)),
  };
}

function version2(view: DataView, little: boolean): NiftiFields {
  if (magicOf(view, 4, 8) !== "n+2\0\r\n\x1a\n") throw new Fault("nifti-damaged", { expected: "NIfTI-2's signature", got: "another" });
  const long = (at: number): number => Number(view.getBigInt64(at, little));
  const double = (at: number): number => view.getFloat64(at, little);
  return {
    little, least: 544, dims: list(8, (i) => long(16 + 8 * i)), datatype: view.getInt16(12, little), bits: view.getInt16(14, little),
    pixdim: list(8, (i) => double(104 + 8 * i)), offset: long(168), slope: double(176), intercept: double(184),
    units: view.getInt32(500, little) & 0xff, codes: [view.getInt32(344, little), view.getInt32(348, little)],
    quaternion: list(6, (i) => double(352 + 8 * i)), rows: list(12, (i) => double(400 + 8 * i)),
  };
}
