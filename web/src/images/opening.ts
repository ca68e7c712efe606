// Files to slices: a picture, a patient's folder of pictures, NIfTI files, or DICOM series.
import { LIMITS } from "../bundle/limits";
import { Fault } from "../faults";
import type { Opened, Warning } from "../types";
import { looksLike } from "./dicom/files";
import { isMade, isPictureName, sliceNumber, stemOf } from "./names";
import { ofSlices } from "./guard";
import { readPicture } from "./picture";
import { openDicom, openNifti } from "../studies/open";
import { type ByHand, StudyFault } from "../studies/series";

/** Files whose first bytes are looked at together. */
const AT_ONCE = 32;
/** Most ranges of numbers that a warning shows. */
const RANGES = 10;
/** Faults of DICOM files that hold no image at all. */
const OF_NO_IMAGE: ReadonlySet<string> = new Set(["nothing-opened", "dicom-kind", "dicom-damaged"]);

/** A file, and where it lies in what was given; "" for files that came without a folder. */
export interface Given {
  readonly file: File;
  readonly path: string;
}

/**
 * Open files: DICOM if there is any among them, whatever lies beside it, as a medium's viewer and its manual do.
 *
 * @throws Fault: it says what is wrong with which file. StudyFault: a study's series are known.
 */
export async function opened(all: readonly Given[], byHand: ByHand): Promise<Opened> {
  const pictures = all.filter(({ file }) => isPictureName(file.name));
  const volumes = all.filter(({ file }) => /\.nii(?:\.gz)?$/i.test(file.name));
  const taken = new Set([...pictures, ...volumes]);
  const rest = all.filter((each) => !taken.has(each));
  const dicom = await dicomOf(rest);
  if (dicom.length > 0) {
    try {
      return await openDicom(dicom, byHand);
    } catch (error) {
      // Objects without images, such as reports, do not keep other files from being opened.
      if (taken.size === 0 || !(error instanceof Fault) || error instanceof StudyFault || !OF_NO_IMAGE.has(error.code)) throw error;
    }
  }
  if (pictures.length > 0 && volumes.length > 0) throw new Fault("mixed-inputs", { got: "pictures and NIfTI files" });
  if (volumes.length > 0) return openNifti(volumes, rest, byHand);
  const images = pictures.filter(({ file }) => !isMade(file.name));
  if (images.length > 0) return openPictures(images);
  throw new Fault("nothing-opened", { got: all.length });
}

/** The files that are DICOM by their first bytes, for scanners' exports have any name; a medium's directory is none. */
async function dicomOf(files: readonly Given[]): Promise<File[]> {
  const found: File[] = [];
  for (let at = 0; at < files.length; at += AT_ONCE) {
    const some = files.slice(at, at + AT_ONCE).map(({ file }) => file);
    const looks = await Promise.all(some.map(looksLike));
    found.push(...some.filter((_, index) => looks[index] === "dicom"));
  }
  return found;
}

/** A patient's slices in the order of their numbers. */
async function openPictures(images: readonly Given[]): Promise<Opened> {
  const folders = new Set(images.map(({ path }) => path.split("/").slice(0, -1).join("/")));
  if (folders.size > 1) throw new Fault("several-patients", { got: folders.size });
  const folder = [...folders][0]?.split("/").pop() ?? "";
  const numbered = images.map((each) => ({ ...each, number: sliceNumber(stemOf(each.file.name), folder) }));
  const slices = images.length === 1 ? numbered : ordered(numbered);
  const warnings: Warning[] = [];
  const missing = missingNumbers(slices.map(({ number }) => number));
  if (missing.length > 0) warnings.push({ code: "missing-slices", values: { numbers: inRanges(missing) } });
  const decoded: { pixels: Uint8Array; height: number; width: number }[] = [];
  const notes: Warning[][] = [];
  for (const { file } of slices) {
    const raster = await readPicture(await bytesOf(file), file.name);
    const first = decoded[0] ?? raster;
    if (raster.height !== first.height || raster.width !== first.width) {
      const values = { file: file.name, expected: `${first.height} x ${first.width}`, got: `${raster.height} x ${raster.width}` };
      throw new Fault("slices-differ", values);
    }
    const pixels = slices.length * raster.height * raster.width;
    if (pixels > LIMITS.slicePixels) throw new Fault("too-many-slices", { most: LIMITS.slicePixels, got: pixels });
    decoded.push(raster);
    notes.push([...raster.warnings]);
  }
  const { height, width } = decoded[0] as { height: number; width: number };
  const pixels = new Uint8Array(decoded.length * height * width * 3);
  decoded.forEach((slice, at) => pixels.set(slice.pixels, at * height * width * 3));
  return {
    name: slices.length === 1 ? (slices[0]?.file.name ?? "") : "",
    kind: slices.length === 1 ? "slice" : "patient",
    count: decoded.length, height, width, pixels,
    warnings: [...warnings, ...ofSlices(notes)],
    source: { kind: "pictures", names: slices.map(({ file }) => stemOf(file.name)) },
  };
}

function ordered<T extends { file: File; number: number | undefined }>(slices: readonly T[]): T[] {
  const without = slices.find(({ number }) => number === undefined);
  if (without !== undefined) throw new Fault("slices-numbers", { file: without.file.name, got: "no number" });
  const sorted = [...slices].sort((a, b) => (a.number ?? 0) - (b.number ?? 0));
  const twice = sorted.find(({ number }, at) => at > 0 && number === sorted[at - 1]?.number);
  if (twice !== undefined) throw new Fault("slices-numbers", { file: twice.file.name, got: `number ${twice.number ?? 0} twice` });
  return sorted;
}

/** Ascending numbers as a warning shows them: those that follow one another together, and no more than can be read. */
function inRanges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  const shown = runs.slice(0, RANGES).map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`));
  return shown.join(", ") + (runs.length > RANGES ? ", …" : "");
}

function missingNumbers(numbers: readonly (number | undefined)[]): number[] {
  const known = numbers.filter((number) => number !== undefined);
  const [first, last] = [known[0] ?? 0, known[known.length - 1] ?? 0];
  if (known.length < 2 || last - first > 10_000) return []; // numbers that far apart do not count slices
  const there = new Set(known);
  return Array.from({ length: last - first }, (_, at) => first + at).filter((number) => !there.has(number));
}

/** A file's bytes under the cap for pictures; its size is looked at before it is read. */
async function bytesOf(file: File): Promise<Uint8Array<ArrayBuffer>> {
  if (file.size > LIMITS.imageFileBytes) throw new Fault("file-too-large", { file: file.name, most: LIMITS.imageFileBytes, got: file.size });
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new Fault("file-unreadable", { file: file.name, got: error instanceof Error ? error.name : "" }, { cause: error });
  }
}
