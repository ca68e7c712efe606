// DICOM files to the series of one study, as the runtime reads a folder.
//
// A file that cannot be read is left out and told of: a gap that it leaves is found by the slices' places. A file that can be
// read but not used makes its series faulty, and no other.
import { Fault } from "../../faults";
import type { Series } from "../../studies/series";
import type { Warning } from "../../types";
import { checkSyntax, isLossy } from "./compressed";
import { readSlices, type Slice, type SourceFile } from "./slices";
import { sameValues, volumeOf } from "./pixels";
import { since } from "./headers";
import { stacked } from "./stacking";

/** Files read at once: enough that none waits for the disk, few enough for the memory. */
const AT_ONCE = 8;

interface Read {
  readonly source: SourceFile;
  readonly slices: readonly Slice[];
}
export interface DicomStudy {
  readonly series: readonly Series[];
  readonly warnings: readonly Warning[];
}

/**
 * The series of a study, from its files in any order and nesting.
 *
 * @throws Fault: no DICOM image, several studies or patients, or no file that can be read.
 */
export async function dicomStudy(files: readonly File[]): Promise<DicomStudy> {
  const studies = new Map<string, Map<string, Read[]>>();
  const unread: Fault[] = [];
  for (let at = 0; at < files.length; at += AT_ONCE) {
    for (const read of await Promise.all(files.slice(at, at + AT_ONCE).map(readOrFault))) {
      if (read instanceof Fault) unread.push(read);
      else added(studies, read);
    }
  }
  const groups = [...studies.values()];
  const withImages = groups.filter((study) => [...study.values()].flat().some(({ slices }) => slices.length > 0));
  const [study] = withImages;
  if (study === undefined) throw groups.flatMap((each) => [...each.values()].flat())[0]?.source.fault ?? unread[0] ?? new Fault("nothing-opened", { got: files.length });
  if (withImages.length > 1) throw new Fault("several-studies", { got: withImages.length });
  const reads = [...study.values()].flat();
  const patients = new Set(reads.map(({ source }) => source.patient).filter((patient) => patient !== ""));
  if (patients.size > 1) throw new Fault("several-patients", { got: patients.size });
  const days = reads.map(({ source }) => source.moment?.day).filter((day) => day !== undefined);
  const firstDay = days.length > 0 ? Math.min(...new Set(days)) : undefined;
  const series: Series[] = [];
  for (const [uid, group] of study) series.push(await seriesOf(uid, group, firstDay));
  return { series: series.sort(byNumber), warnings: unreadWarning(unread) };
}

async function readOrFault(file: File): Promise<Read | Fault> {
  try {
    return await readSlices(file);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

function added(studies: Map<string, Map<string, Read[]>>, read: Read): void {
  const { studyUid, seriesUid } = read.source;
  const study = studies.get(studyUid) ?? new Map<string, Read[]>();
  const group = study.get(seriesUid);
  if (group === undefined) study.set(seriesUid, [read]);
  else group.push(read);
  studies.set(studyUid, study);
}

/** What is said of files that could not be read: how many, and which, without their folders. */
function unreadWarning(unread: readonly Fault[]): Warning[] {
  if (unread.length === 0) return [];
  const names = unread.slice(0, 3).map(({ values }) => String(values["file"]));
  const files = unread.length > names.length ? `${names.join(", ")}, …` : names.join(", ");
  return [{ code: "file-unread", values: { count: unread.length, files } }];
}

function byNumber(one: Series, other: Series): number {
  const [a, b] = [one.header.number ?? Infinity, other.header.number ?? Infinity];
  if (a !== b) return a < b ? -1 : 1;
  return one.uid < other.uid ? -1 : 1;
}

async function seriesOf(uid: string, reads: readonly Read[], firstDay: number | undefined): Promise<Series> {
  const first = [...reads].sort(firstOf)[0] as Read;
  const { header } = first.source;
  const times = reads.flatMap(({ source }) => (source.moment === undefined ? [] : [since(source.moment, firstDay)]));
  const acquired = times.length > 0 ? times.reduce((least, time) => Math.min(least, time)) : undefined;
  const name = `series ${header.number ?? ""} ${header.description || header.protocol}`.replace(/ +/g, " ").trim();
  const { kept, copies } = await withoutCopies(reads);
  const slices = kept.flatMap((read) => read.slices);
  const about = {
    uid, name, frameOfReference: (kept[0] as Read).source.frameOfReference, header: { ...header, acquired },
    warnings: warningsOf(kept, slices.length, copies, name), count: slices.length,
  };
  try {
    checkUsable(kept);
    const stack = await stacked(slices, name, sameValues);
    for (const { source } of slices) checkSyntax(source);
    return {
      ...about, count: stack.slices.length, grid: stack.grid, warnings: [...about.warnings, ...stack.warnings], load: () => volumeOf(stack, name),
      dicom: {
        instances: stack.slices.map(({ source, frame }) => ({ sopClass: source.sopClass, sopUid: source.sopUid, ...(frame === undefined ? {} : { frame }) })),
        seriesUid: uid, studyUid: first.source.studyUid, frameOfReference: about.frameOfReference, seriesNumber: header.number ?? 0,
        lossy: kept.some(({ source }) => source.lossy), modules: first.source.modules,
      },
    };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { ...about, fault: error, load: () => Promise.reject(error) };
  }
}

/** Order in which the first file's header stands for the series. */
function firstOf(one: Read, other: Read): number {
  const [a, b] = [one.slices.length === 0 ? 1 : 0, other.slices.length === 0 ? 1 : 0];
  if (a !== b) return a - b;
  if (one.source.instance !== other.source.instance) return one.source.instance - other.source.instance;
  return one.source.sopUid < other.source.sopUid ? -1 : 1;
}

/** Files without those that repeat an object, such as a study that was copied twice; stacking finds the others. */
async function withoutCopies(reads: readonly Read[]): Promise<{ kept: readonly Read[]; copies: number }> {
  const kept = new Map<string, Read>();
  const others: Read[] = [];
  let copies = 0;
  for (const read of reads) {
    const there = kept.get(read.source.sopUid);
    if (there === undefined) kept.set(read.source.sopUid, read);
    else if (await areSame(there, read)) copies += 1;
    else others.push(read);
  }
  return { kept: [...kept.values(), ...others], copies };
}

/** Whether two files hold the same slices. */
async function areSame(one: Read, other: Read): Promise<boolean> {
  if (one.slices.length !== other.slices.length) return false;
  const placeOf = ({ position, orientation, spacing, thickness, between }: Slice): string => JSON.stringify([position, orientation, spacing, thickness, between]);
  try {
    for (const [at, mine] of one.slices.entries()) {
      const its = other.slices[at] as Slice;
      if (placeOf(mine) !== placeOf(its) || !(await sameValues(mine, its))) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

/** Refuse a series with a file that holds no slice: without it the volume would not be whole. */
function checkUsable(reads: readonly Read[]): void {
  const fault = reads.find(({ source }) => source.fault !== undefined)?.source.fault;
  if (fault !== undefined) throw fault;
}

/** What a reader should know of how the series is stored. */
function warningsOf(reads: readonly Read[], slices: number, copies: number, series: string): Warning[] {
  const warnings: Warning[] = [];
  if (copies > 0) warnings.push({ code: "duplicate-slices", values: { series, count: copies } });
  if (reads.some(({ source }) => source.lossy || isLossy(source.syntax))) warnings.push({ code: "lossy-compression", values: { series } });
  const expected = reads.reduce((most, { source }) => Math.max(most, source.imagesExpected), 0);
  if (expected > slices && reads.length > 1) warnings.push({ code: "images-expected", values: { series, expected, got: slices } });
  if (reads.some(({ source }) => source.format?.inverted === true)) warnings.push({ code: "inverted", values: { series } });
  return warnings;
}
