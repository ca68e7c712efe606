// A study's files to the slices that the network sees, and the way back.
import { LIMITS } from "../bundle/limits";
import { Fault } from "../faults";
import { dicomStudy } from "../images/dicom/reader";
import { areSeveralStudies, isMadeName, roleByName, stem } from "../images/nifti/names";
import { niftiSeries } from "../images/nifti/reader";
import type { Given } from "../images/opening";
import { type Role, ROLES } from "../outputs/source";
import type { Opened, SeriesFound, Warning } from "../types";
import { frameOf, frameSpacing, SIDE, slicesOf, takeOne } from "./frame";
import { sameGrid, type Volume } from "./geometry";
import { inspectStudy } from "./guard";
import { greyLevels } from "./intensity";
import { choose, type Roles } from "./roles";
import { type ByHand, type Series, StudyFault } from "./series";

/** Distance in mm up to which two grids are one, as where the runtime takes voxels over without resampling. */
const ONE_GRID = 1e-4;

/**
 * Open DICOM files of one study.
 *
 * @param byHand Which series is what, where somebody said so.
 * @throws StudyFault where the series are known, such as "grids-differ" where a T1 lies on another grid than FLAIR; Fault.
 */
export async function openDicom(files: readonly File[], byHand: ByHand): Promise<Opened> {
  const { series, warnings } = await dicomStudy(files);
  return chosen("dicom", series, warnings, () => choose(series, byHand));
}

/**
 * Open NIfTI files of one study.
 *
 * @param beside Other files, among which NIfTI's JSON files are looked for.
 * @throws As `openDicom`.
 */
export async function openNifti(files: readonly Given[], beside: readonly Given[], byHand: ByHand): Promise<Opened> {
  const sidecars = new Map(beside.filter(({ path }) => path.endsWith(".json")).map(({ path, file }) => [path.slice(0, -5), file]));
  const images = files.filter(({ file }) => !isMadeName(stem(file.name)));
  if (images.length === 0) throw new Fault("nothing-opened", { got: files.length });
  const series: Series[] = [];
  for (const { file, path } of images) series.push(await niftiSeries(file, path, sidecars.get(stem(path))));
  return chosen("nifti", series, [], () => {
    if (byHand.flair === undefined && areSeveralStudies(images.map(({ path }) => path))) throw new Fault("several-studies", { got: "NIfTI files of several patients or folders" });
    return choose(series, byHand, namedRoles(series, byHand));
  });
}

/** The roles that usual names of files say. */
function namedRoles(series: readonly Series[], byHand: ByHand): Map<Role, Series> {
  const named = new Map<Role, Series>();
  const taken = new Set(Object.values(byHand));
  for (const role of ["flair", "pre", "post"] as const) {
    const matches = series.filter((each) => roleByName(each.name) === role && !taken.has(each.uid));
    if (byHand[role] !== undefined) continue;
    if (matches.length > 1) throw new Fault("roles-several", { role, got: matches.map(({ name }) => name).join(", ") });
    if (matches[0] !== undefined) named.set(role, matches[0]);
  }
  // A single file that is given by itself is FLAIR if its name does not say otherwise.
  const only = series[0];
  if (series.length === 1 && only !== undefined && roleByName(only.name) === undefined) named.set("flair", only);
  return named;
}

/** Give out the roles, and frame the series that have one; a fault on the way tells what series there are. */
async function chosen(kind: "nifti" | "dicom", series: readonly Series[], warnings: readonly Warning[], roles: () => Roles): Promise<Opened> {
  try {
    const found = roles();
    const opened = await framed(kind, found.series, [...warnings, ...found.warnings]);
    return { ...opened, series: listed(series, found.series) };
  } catch (error) {
    if (error instanceof Fault) throw new StudyFault(error, listed(series, new Map()));
    throw error;
  }
}

/** The series as somebody who chooses sees them. */
function listed(series: readonly Series[], roles: ReadonlyMap<Role, Series>): SeriesFound[] {
  return series.map((each) => {
    const role = [...roles].find(([, one]) => one === each)?.[0];
    const { number, description, protocol, acquired } = each.header;
    const { grid } = each;
    return {
      uid: each.uid, number, description: each.dicom === undefined && each.nifti !== undefined ? each.name : description || protocol || each.name,
      count: grid?.shape[0] ?? each.count, time: acquired === undefined ? undefined : acquired % 86_400,
      ...(grid === undefined ? {} : { rows: grid.shape[1], columns: grid.shape[2], spacing: grid.spacing }),
      ...(role === undefined ? {} : { role }), ...(each.fault === undefined ? {} : { fault: each.fault.code }),
    };
  });
}

/** Read, scale and frame series that share a grid. */
async function framed(kind: "nifti" | "dicom", series: ReadonlyMap<Role, Series>, warnings: readonly Warning[]): Promise<Opened> {
  const flair = series.get("flair") as Series;
  const grid = flair.grid as NonNullable<Series["grid"]>;
  for (const [role, each] of series) {
    if (each.grid === undefined || !sameGrid(each.grid, grid, ONE_GRID)) throw new Fault("grids-differ", { series: role });
  }
  const levels = new Map<Role, Volume>();
  for (const [role, each] of series) levels.set(role, greyLevels(await each.load(), role));
  const frame = frameOf(levels.get("flair") as Volume);
  const count = slicesOf(frame);
  if (count * SIDE * SIDE > LIMITS.slicePixels) throw new Fault("too-many-slices", { most: LIMITS.slicePixels / SIDE / SIDE, got: count });
  const pixels = new Uint8Array(count * SIDE * SIDE * 3);
  ROLES.forEach((role, channel) => {
    const values = takeOne(frame, (levels.get(role) ?? (levels.get("flair") as Volume)).voxels);
    for (let at = 0; at < values.length; at += 1) pixels[at * 3 + channel] = rounded(values[at] as number);
  });
  const others = [...series].filter(([role]) => role !== "flair");
  return {
    name: series.size === 1 && kind === "nifti" ? flair.name : "",
    kind, count, height: SIDE, width: SIDE, pixels, spacing: frameSpacing(frame),
    warnings: [
      ...warnings, ...[...series.values()].flatMap((each) => each.warnings),
      ...others.map(([role]): Warning => ({ code: "no-registration", values: { series: role } })),
      ...others.filter(([, each]) => differ(each.frameOfReference, flair.frameOfReference))
        .map(([role]): Warning => ({ code: "frame-of-reference", values: { series: role } })),
      ...inspectStudy(pixels, [count, SIDE, SIDE], levels),
    ],
    source: {
      kind: "study", grid, frame, levels,
      ...(flair.nifti === undefined ? {} : { nifti: flair.nifti }), ...(flair.dicom === undefined ? {} : { dicom: flair.dicom }),
    },
  };
}

/** Frames of reference that are stated and are not one. */
function differ(one: string, other: string): boolean {
  return one !== "" && other !== "" && one !== other;
}

/** To the nearest whole number, halves to the even one, as the runtime rounds; 0 to 255. */
function rounded(value: number): number {
  const whole = Math.round(value);
  const even = Math.abs(value % 1) === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
  return Math.min(Math.max(even, 0), 255);
}
