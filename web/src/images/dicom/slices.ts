// A file's slices: where each lies, and how its values are stored.
//
// A file that cannot be parsed, or does not say which study and series it belongs to, is left out by the caller; one that
// can has its fault kept with it, so that its series cannot be used without it.
// Source: DICOM PS3.3 C.7.6.2 (Image Plane), C.7.6.3 (Image Pixel), C.7.6.16 (functional groups), C.11.1 (Modality LUT).
import { LIMITS } from "../../bundle/limits";
import { Fault, shown } from "../../faults";
import type { Triple } from "../../studies/geometry";
import type { SeriesHeader } from "../../studies/series";
import type { DataSet, PixelElement } from "./elements";
import { BIG_ENDIAN, NATIVE, parse, type Parsed } from "./files";
import { HEADER_TAGS, headerOf, isLossy, type Moment, momentOf } from "./headers";

const SINGLE = new Set(["1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128"]);
const MULTI = new Set([
  "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2",
]);
const MOST_SIDE = 4096;
const MOST_FRAMES = 20_000;
const PIXEL_DATA = 0x7fe00010;
/** Patient and study attributes that are repeated in what is written: required ones first. */
const MODULES = [
  0x00080005, 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00080020, 0x00080030, 0x00080090, 0x00200010, 0x00080050, 0x00100021,
  0x00120062, 0x00120063, 0x00101010, 0x00101020, 0x00101030, 0x00081030, 0x00201040,
] as const;
const TAGS: ReadonlySet<number> = new Set([
  ...HEADER_TAGS, ...MODULES, 0x00080016, 0x00080018, 0x00102210, 0x00180050, 0x00180088, 0x0020000d, 0x0020000e, 0x00200013, 0x00200032,
  0x00200037, 0x00200052, 0x00201002, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101,
  0x00280102, 0x00280103, 0x00280120, 0x00280121, 0x00281052, 0x00281053, 0x00282110, 0x00283000, 0x00289145,
]);

export interface PixelFormat {
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  readonly allocated: number;
  readonly stored: number;
  readonly high: number;
  readonly signed: boolean;
  readonly inverted: boolean;
  readonly big: boolean;
  /** Lowest and highest stored value that stands for no tissue. */
  readonly padding?: readonly [number, number];
}
export interface SourceFile {
  /** The file's name, for messages. */
  readonly name: string;
  /** The file, or what it is inflated to. */
  readonly body: Blob;
  readonly studyUid: string;
  readonly seriesUid: string;
  readonly sopClass: string;
  readonly sopUid: string;
  /** To tell patients apart; never shown. */
  readonly patient: string;
  readonly frameOfReference: string;
  readonly header: SeriesHeader;
  readonly moment: Moment | undefined;
  readonly instance: number;
  readonly imagesExpected: number;
  readonly lossy: boolean;
  readonly syntax: string;
  readonly modules: ReadonlyMap<string, string>;
  /** How the pixels are stored and where they are; undefined with `fault`. */
  readonly format?: PixelFormat;
  readonly pixels?: PixelElement;
  /** Why the file holds no slice that can be used. */
  readonly fault?: Fault;
}
/** A file whose pixels can be read. */
export type ImageFile = SourceFile & Required<Pick<SourceFile, "format" | "pixels">>;
export interface Slice {
  readonly source: ImageFile;
  /** From 1, in a multi-frame object. */
  readonly frame?: number;
  readonly position: Triple | undefined;
  readonly orientation: readonly number[] | undefined;
  /** Between rows, between columns. */
  readonly spacing: readonly [number, number] | undefined;
  readonly thickness: number | undefined;
  readonly between: number | undefined;
  readonly slope: number;
  readonly intercept: number;
}

/**
 * Read a file and its slices, without their pixels; a file with a fault has none.
 *
 * @throws Fault "dicom-damaged" and others: it cannot be parsed, or does not say what it belongs to.
 */
export async function readSlices(file: File): Promise<{ source: SourceFile; slices: readonly Slice[] }> {
  const parsed = await parse(file, TAGS);
  const about = described(parsed, file.name);
  try {
    const source: ImageFile = { ...about, ...pixelsOf(parsed, about) };
    return { source, slices: slicesOf(parsed.data, source) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { source: { ...about, fault: error }, slices: [] };
  }
}

function damaged(file: string, expected: string, got: string | number): Fault {
  return new Fault("dicom-damaged", { file, expected, got });
}
function kind(file: string, expected: string, got: string): Fault {
  return new Fault("dicom-kind", { file, expected, got });
}

function described({ data, syntax, body }: Parsed, name: string): SourceFile {
  const [studyUid, seriesUid, sopClass, sopUid] = [0x0020000d, 0x0020000e, 0x00080016, 0x00080018].map((tag) => data.uid(tag)) as [string, string, string, string];
  if ([studyUid, seriesUid, sopClass, sopUid].includes("")) throw damaged(name, "UIDs of study, series, class and object", "none");
  return {
    name, body, studyUid, seriesUid, sopClass, sopUid, patient: data.text(0x00100020), frameOfReference: data.uid(0x00200052),
    header: headerOf(data), moment: momentOf(data), instance: data.whole(0x00200013) ?? 0, imagesExpected: data.whole(0x00201002) ?? 0,
    lossy: isLossy(data), syntax, modules: new Map(MODULES.map((tag) => [named(tag), data.raw(tag)])),
  };
}

/** A tag as it is written, such as "00100020". */
function named(tag: number): string {
  return tag.toString(16).toUpperCase().padStart(8, "0");
}

/** How a file's pixels are stored, checked. */
function pixelsOf({ data, pixels, body }: Parsed, { name, sopClass, syntax }: SourceFile): { format: PixelFormat; pixels: PixelElement } {
  if (!SINGLE.has(sopClass) && !MULTI.has(sopClass)) throw kind(name, "an MR image", "another object");
  if (data.texts(0x00080008).includes("MOSAIC")) throw kind(name, "a picture for each slice", "a mosaic of slices in one picture");
  if (pixels === undefined) throw damaged(name, "pixels", "none: it may be cut off");
  if (pixels.tag !== PIXEL_DATA || data.text(0x00102210) === "QUADRUPED" || data.has(0x00283000)) {
    throw kind(name, "integers of a human’s images, no table", "other values");
  }
  const format = formatOf(data, name, syntax);
  const { rows, columns, frames, allocated } = format;
  const need = Math.floor((rows * columns * frames * allocated) / 8);
  const there = Math.max(0, Math.min(pixels.length ?? 0, body.size - pixels.offset));
  if (NATIVE.has(syntax) && (there < need || there < (pixels.length ?? Infinity))) throw damaged(name, `${need} bytes of pixels`, there);
  if (rows * columns * frames > LIMITS.voxels) throw kind(name, `at most ${LIMITS.voxels} voxels`, "more");
  return { format, pixels };
}

function formatOf(data: DataSet, file: string, syntax: string): PixelFormat {
  const allocated = data.whole(0x00280100) ?? 0;
  const stored = data.whole(0x00280101) || allocated;
  const high = data.whole(0x00280102) ?? stored - 1;
  const [rows, columns] = [data.whole(0x00280010) ?? 0, data.whole(0x00280011) ?? 0];
  const frames = data.has(0x00280008) ? (data.whole(0x00280008) ?? 0) : 1;
  const photometric = data.text(0x00280004);
  if ((data.whole(0x00280002) ?? 1) !== 1 || !/^MONOCHROME[12]$/.test(photometric)) throw kind(file, "a grey image", shown(photometric || "none"));
  if (!(rows >= 1 && rows <= MOST_SIDE && columns >= 1 && columns <= MOST_SIDE)) throw kind(file, `1 to ${MOST_SIDE} pixels`, `${rows} x ${columns}`);
  if (!(frames >= 1 && frames <= MOST_FRAMES)) throw kind(file, `1 to ${MOST_FRAMES} frames`, String(frames));
  if (![8, 16, 32].includes(allocated) || stored < 1 || !(stored <= high + 1 && high + 1 <= allocated)) throw kind(file, "8, 16 or 32 bits", `${stored} of ${allocated}`);
  const signed = data.whole(0x00280103) === 1;
  const [low, limit] = [data.word(0x00280120, signed), data.word(0x00280121, signed)];
  const padding = low === undefined ? {} : { padding: [Math.min(low, limit ?? low), Math.max(low, limit ?? low)] as const };
  return { rows, columns, frames, allocated, stored, high, signed, inverted: photometric === "MONOCHROME1", big: syntax === BIG_ENDIAN, ...padding };
}

function slicesOf(data: DataSet, source: ImageFile): Slice[] {
  if (MULTI.has(source.sopClass)) return framesOf(data, source);
  if (source.format.frames > 1) throw kind(source.name, "one frame, or a place for each", "several frames");
  for (const tag of [0x00281053, 0x00281052]) {
    if (data.number(tag) === undefined && data.text(tag) !== "") throw damaged(source.name, "a number to rescale by", "something else");
  }
  return [sliceOf(source, data, data, data, data)];
}

/** A slice out of the data sets, or functional groups, that hold its parts. */
function sliceOf(source: ImageFile, place: DataSet | undefined, turned: DataSet | undefined, measures: DataSet | undefined, scale: DataSet): Slice {
  const several = (data: DataSet | undefined, tag: number, count: number): number[] | undefined => {
    const found = data?.numbers(tag) ?? [];
    return found.length === count ? found : undefined;
  };
  const slope = scale.number(0x00281053) ?? 1;
  if (!(Math.abs(slope) > 1e-12 && Math.abs(slope) < 1e12)) throw damaged(source.name, "a RescaleSlope other than 0", slope);
  return {
    source, position: several(place, 0x00200032, 3) as unknown as Triple | undefined, orientation: several(turned, 0x00200037, 6),
    spacing: several(measures, 0x00280030, 2) as unknown as [number, number] | undefined,
    thickness: measures?.number(0x00180050), between: measures?.number(0x00180088), slope, intercept: scale.number(0x00281052) ?? 0,
  };
}

/** The frames of a multi-frame object, each by its own functional groups, else by those that all share. */
function framesOf(data: DataSet, source: ImageFile): Slice[] {
  const own = data.items(0x52009230);
  const shared = data.first(0x52009229);
  const { frames } = source.format;
  if (own.length !== frames) throw damaged(source.name, `a place for each of ${frames} frames`, own.length);
  return own.map((groups, index) => {
    const group = (tag: number): DataSet | undefined => groups.first(tag) ?? shared?.first(tag);
    const slice = sliceOf(source, group(0x00209113), group(0x00209116), group(0x00289110), group(0x00289145) ?? data);
    return { ...slice, between: slice.between ?? data.number(0x00180088), frame: index + 1 };
  });
}
