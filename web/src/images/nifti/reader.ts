// A NIfTI file as a series: its header is checked before a voxel is decoded, and no more is inflated than it says.
import { LIMITS } from "../../bundle/limits";
import { gunzippedPieces } from "../../bundle/gunzip";
import { asFault, inflated, Trailing } from "../../bundle/inflate";
import { type JsonObject, parseObject } from "../../bundle/json";
import { Fault } from "../../faults";
import type { Triple, Volume } from "../../studies/geometry";
import { NO_HEADER, type Series, type SeriesHeader } from "../../studies/series";
import { HEADER_BYTES, type NiftiFields, unpack } from "./fields";
import { gridOf } from "./grid";
import { stem } from "./names";

const MAX_OFFSET = 1 << 26;
const MAX_VOXELS = 1 << 27;
const MAX_SIDECAR = 1 << 20;
/** Bytes behind the voxels that are read; what has more of them is taken as it is. */
const MOST_BEHIND = 1 << 20;
/** Bytes read of an uncompressed file at once. */
const BLOCK = 1 << 22;

interface Type {
  readonly bytes: number;
  readonly get: (view: DataView, at: number, little: boolean) => number;
}
const TYPES: Readonly<Record<number, Type>> = {
  2: { bytes: 1, get: (view, at) => view.getUint8(at) },
  4: { bytes: 2, get: (view, at, little) => view.getInt16(at, little) },
  8: { bytes: 4, get: (view, at, little) => view.getInt32(at, little) },
  16: { bytes: 4, get: (view, at, little) => view.getFloat32(at, little) },
  64: { bytes: 8, get: (view, at, little) => view.getFloat64(at, little) },
  256: { bytes: 1, get: (view, at) => view.getInt8(at) },
  512: { bytes: 2, get: (view, at, little) => view.getUint16(at, little) },
  768: { bytes: 4, get: (view, at, little) => view.getUint32(at, little) },
  1024: { bytes: 8, get: (view, at, little) => Number(view.getBigInt64(at, little)) },
  1280: { bytes: 8, get: (view, at, little) => Number(view.getBigUint64(at, little)) },
};

/**
 * Read a file's header; `load` reads its voxels.
 *
 * @param sidecar The JSON file of the same name, as converters write it.
 * @returns A series; one whose file cannot be read has a fault, which matters only if it is needed.
 */
export async function niftiSeries(file: File, path: string, sidecar: File | undefined): Promise<Series> {
  const header = await headerOf(file, sidecar);
  const about = { uid: path, name: file.name, header, frameOfReference: "", count: 0 };
  try {
    if (file.size > LIMITS.volumeFileBytes) throw new Fault("file-too-large", { file: file.name, most: LIMITS.volumeFileBytes, got: file.size });
    const fields = unpack(await start(file, HEADER_BYTES));
    const shape = shapeOf(fields);
    const type = typeOf(fields);
    const { grid, warnings } = gridOf(fields, shape, file.name);
    return { ...about, count: shape[0], grid, warnings, nifti: fields, load: () => voxelsOf(file, fields, type, grid) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const fault = error.values["series"] === undefined ? error.named(file.name) : error;
    return { ...about, fault, warnings: [], load: () => Promise.reject(fault) };
  }
}

/** A file's first bytes, inflated if it is compressed; fewer if it is shorter. No more of the file is read than is needed. */
async function start(file: File, count: number): Promise<Uint8Array<ArrayBuffer>> {
  if (!(await isPacked(file))) return new Uint8Array(await file.slice(0, count).arrayBuffer());
  return inflated(beginning(gunzippedPieces(file), count), cutOff);
}

/** The first bytes of pieces, joined; the pieces behind them are not asked for. */
async function beginning(pieces: AsyncIterable<Uint8Array<ArrayBuffer>>, count: number): Promise<Uint8Array<ArrayBuffer>> {
  let found: Uint8Array<ArrayBuffer> = new Uint8Array();
  try {
    for await (const piece of pieces) {
      found = joined(found, piece.subarray(0, count - found.length));
      if (found.length >= count) break;
    }
  } catch (error) {
    if (!(error instanceof Trailing)) throw error;
  }
  return found;
}

async function isPacked(file: File): Promise<boolean> {
  const head = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return head[0] === 0x1f && head[1] === 0x8b;
}

function cutOff(got: string): Fault {
  return new Fault("nifti-damaged", { expected: "a whole file", got });
}

/** A file's bytes from its start in pieces, inflated if it is compressed. */
async function* piecesOf(file: File): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (await isPacked(file)) {
    yield* gunzippedPieces(file);
    return;
  }
  for (let at = 0; at < file.size; at += BLOCK) yield new Uint8Array(await file.slice(at, at + BLOCK).arrayBuffer());
}

function shapeOf({ dims }: NiftiFields): Triple {
  const count = dims[0] as number;
  const lengths = dims.slice(1, count + 1);
  if (!(count >= 2 && count <= 7) || lengths.some((length) => length < 1)) throw new Fault("nifti-damaged", { expected: "2 to 7 dimensions", got: dims.join(" ") });
  if (lengths.slice(3).some((length) => length !== 1)) throw new Fault("nifti-kind", { expected: "one volume", got: lengths.join(" x ") });
  const [i = 1, j = 1, k = 1] = lengths;
  if (i * j * k > MAX_VOXELS) throw new Fault("nifti-kind", { expected: `at most ${MAX_VOXELS} voxels`, got: String(i * j * k) });
  return [k, j, i];
}

function typeOf({ datatype, bits, offset, least, slope, intercept }: NiftiFields): Type {
  const type = TYPES[datatype];
  if (type === undefined) throw new Fault("nifti-kind", { expected: "whole or floating-point numbers", got: `data type ${datatype}` });
  if (bits !== 0 && bits !== type.bytes * 8) throw new Fault("nifti-damaged", { expected: `${type.bytes * 8} bits`, got: `${bits} bits` });
  if (!(offset >= least && offset <= MAX_OFFSET)) throw new Fault("nifti-damaged", { expected: `voxels from byte ${least} on`, got: String(offset) });
  const isScaled = slope !== 0 && Number.isFinite(slope);
  if (isScaled && !Number.isFinite(intercept)) throw new Fault("nifti-damaged", { expected: "a finite intercept", got: String(intercept) });
  return type;
}

/** The voxels, decoded piece by piece, so that no more than they is ever kept. */
async function voxelsOf(file: File, fields: NiftiFields, type: Type, grid: Volume["grid"]): Promise<Volume> {
  const count = grid.shape[0] * grid.shape[1] * grid.shape[2];
  const isScaled = fields.slope !== 0 && Number.isFinite(fields.slope) && !(fields.slope === 1 && fields.intercept === 0);
  const [slope, intercept] = isScaled ? [fields.slope, fields.intercept] : [1, 0];
  const voxels = new Float32Array(count);
  let [skip, at, behind] = [Math.trunc(fields.offset), 0, 0];
  let rest: Uint8Array<ArrayBuffer> = new Uint8Array();
  try {
    for await (const piece of piecesOf(file)) {
      if (at >= count) { // asked for more, so that what is cut off, or has another checksum, is found
        behind += piece.length;
        if (behind > MOST_BEHIND) break;
        continue;
      }
      if (piece.length <= skip) {
        skip -= piece.length;
        continue;
      }
      const data = joined(rest, piece.subarray(skip));
      skip = 0;
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      const here = Math.min(Math.floor(data.length / type.bytes), count - at);
      for (let index = 0; index < here; index += 1, at += 1) {
        const stored = type.get(view, index * type.bytes, fields.little);
        voxels[at] = isScaled ? stored * slope + intercept : stored;
      }
      rest = data.slice(here * type.bytes);
    }
  } catch (error) {
    const fault = asFault(error, cutOff);
    if (!(error instanceof Trailing) || at < count) throw fault instanceof Fault ? fault.named(file.name) : fault;
  }
  if (at < count) throw new Fault("nifti-damaged", { file: file.name, expected: `${count} voxels`, got: String(at) });
  if (!voxels.every(Number.isFinite)) throw new Fault("series-values", { series: file.name, expected: "finite values", got: "NaN, infinity, or beyond 32-bit floats" });
  return { voxels, grid };
}

/** The bytes that were left over, and those that follow. */
function joined(rest: Uint8Array<ArrayBuffer>, next: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (rest.length === 0) return next;
  const whole = new Uint8Array(rest.length + next.length);
  whole.set(rest);
  whole.set(next, rest.length);
  return whole;
}

/** The header of a series, from its file's name and the tags that a converter wrote beside it. */
async function headerOf(file: File, sidecar: File | undefined): Promise<SeriesHeader> {
  const name = stem(file.name);
  const tags = sidecar === undefined ? {} : await tagsOf(sidecar);
  const text = (key: string): string => { const value = tags[key]; return typeof value === "string" ? value.trim().slice(0, 256) : ""; };
  const number = (key: string): number | undefined => { const value = tags[key]; return typeof value === "number" ? value : undefined; };
  const texts = (key: string): string[] => {
    const value = tags[key];
    if (Array.isArray(value)) return value.slice(0, 32).filter((each) => typeof each === "string");
    return typeof value === "string" && value !== "" ? value.split(/[\\_/]/) : [];
  };
  const ms = (key: string): number | undefined => { const value = number(key); return value === undefined ? undefined : Math.round(value * 1e9) / 1e6; };
  const clock = /^(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d*)?)$/.exec(text("AcquisitionTime"));
  const described = text("SeriesDescription");
  return {
    ...NO_HEADER, modality: text("Modality"), description: described === "" || name.includes(described) ? name : `${name} ${described}`,
    protocol: text("ProtocolName"), sequenceName: text("PulseSequenceName") || text("SequenceName"),
    scanningSequence: texts("ScanningSequence"), scanOptions: texts("ScanOptions"), sequenceVariant: texts("SequenceVariant"), imageType: texts("ImageType"),
    repetition: ms("RepetitionTime"), echo: ms("EchoTime"), inversion: ms("InversionTime"),
    agent: text("ContrastBolusIngredient") || text("ContrastBolusAgent"), number: number("SeriesNumber"), bodyPart: text("BodyPartExamined"),
    acquired: clock === null ? undefined : Number(clock[1]) * 3600 + Number(clock[2]) * 60 + Number(clock[3]),
  };
}

/** The tags of a JSON file; none if it cannot be read, and then the names decide. */
async function tagsOf(sidecar: File): Promise<JsonObject> {
  if (sidecar.size > MAX_SIDECAR) return {};
  try {
    return parseObject(new Uint8Array(await sidecar.arrayBuffer()), sidecar.name, MAX_SIDECAR, "nifti-damaged");
  } catch (error) {
    if (error instanceof Fault) return {};
    throw error;
  }
}
