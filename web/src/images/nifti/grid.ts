// Where the voxels of a NIfTI file lie: its sform or qform as a grid in LPS, if both agree and are sound.
//
// The sform counts where both are set. Where they name the axes differently, left and right cannot be told, and the file is
// refused. Source: the NIfTI-1 standard (nifti1.h), methods 1 to 3.
import { Fault } from "../../faults";
import { dot, type Grid, minus, norm, position, scaled, type Triple } from "../../studies/geometry";
import type { Warning } from "../../types";
import type { NiftiFields } from "./fields";

const UNITS: Readonly<Record<number, number>> = { 0: 1, 1: 1000, 2: 1, 3: 0.001 };
const SMALLEST = 0.05;
const LARGEST = 50;
/** Largest cosine between two axes that still counts as a right angle. */
const SHEAR = 1e-3;
const SPACINGS_AGREE = 0.02;
/** Smallest cosine between the sform's and the qform's direction of an axis. */
const AXES_AGREE = 0.7;
/** mm from which a disagreement of the two is worth telling. */
const SAID = 0.5;
/** Square of the quaternion's first number below which it is 0. */
const HALF_TURN = 1e-7;

/** A column of the index-to-RAS matrix for each of x, y, z, then the offset. */
type Affine = readonly [Triple, Triple, Triple, Triple];

/** mm in each unit of length. */
export function unitOf(fields: NiftiFields): number | undefined {
  return UNITS[fields.units & 7];
}

/**
 * The grid of a file.
 *
 * @param shape Slices, rows, columns.
 * @throws Fault "geometry": orientation or spacing is impossible, sheared, or stated twice and differently.
 */
export function gridOf(fields: NiftiFields, shape: Triple, series: string): { grid: Grid; warnings: Warning[] } {
  const unit = unitOf(fields);
  if (unit === undefined) throw faulty(series, "m, mm or µm", `unit ${fields.units & 7}`);
  const spacing = [1, 2, 3].map((axis) => Math.abs(fields.pixdim[axis] as number)) as [number, number, number];
  if (fields.dims[0] === 2 && !(spacing[2] > 0)) spacing[2] = 1; // one slice without a thickness
  const qform = fields.codes[0] > 0 ? qformOf(fields, spacing) : undefined;
  const sform = fields.codes[1] > 0 ? sformOf(fields) : undefined;
  const affine = sform ?? qform ?? plainAffine(shape, spacing);
  const grid = checked(affine, unit, shape, series);
  if (sform !== undefined && qform !== undefined) {
    return { grid, warnings: both(grid, checked(qform, unit, shape, series), series) };
  }
  if (sform !== undefined) sameSpacing(grid, scaled(spacing, unit), series);
  const oriented = sform !== undefined || qform !== undefined;
  return { grid, warnings: oriented ? [] : [{ code: "no-orientation", values: { series } }] };
}

function plainAffine(shape: Triple, spacing: Triple): Affine {
  const offset = ([2, 1, 0] as const).map((axis, n) => (-(spacing[n] as number) * (shape[axis] - 1)) / 2) as unknown as Triple;
  return [[spacing[0], 0, 0], [0, spacing[1], 0], [0, 0, spacing[2]], offset];
}

function sformOf({ rows }: NiftiFields): Affine {
  return [0, 1, 2, 3].map((column) => [0, 1, 2].map((row) => rows[row * 4 + column] as number)) as unknown as Affine;
}

function qformOf(fields: NiftiFields, spacing: Triple): Affine {
  let [b, c, d] = fields.quaternion as [number, number, number];
  const rest = 1 - (b * b + c * c + d * d);
  let a = 0;
  if (rest < HALF_TURN) {
    const length = Math.sqrt(b * b + c * c + d * d) || 1;
    [b, c, d] = [b / length, c / length, d / length];
  } else {
    a = Math.sqrt(rest);
  }
  const face = (fields.pixdim[0] as number) < 0 ? -1 : 1;
  const x: Triple = [a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)];
  const y: Triple = [2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b)];
  const z: Triple = [2 * (b * d + a * c), 2 * (c * d - a * b), a * a + d * d - b * b - c * c];
  return [scaled(x, spacing[0]), scaled(y, spacing[1]), scaled(z, spacing[2] * face), fields.quaternion.slice(3) as unknown as Triple];
}

/** A grid from a matrix, if its axes are finite, of a sensible length and at right angles. */
function checked(affine: Affine, unit: number, shape: Triple, series: string): Grid {
  if (!affine.flat().every(Number.isFinite)) throw faulty(series, "finite numbers in the orientation", "infinity or none");
  const lps = affine.map(([x, y, z]): Triple => [-x * unit, -y * unit, z * unit]) as unknown as Affine;
  const steps = [lps[2], lps[1], lps[0]] as const;
  const spacing = steps.map(norm) as unknown as Triple;
  if (!(Math.min(...spacing) >= SMALLEST && Math.max(...spacing) <= LARGEST)) {
    throw faulty(series, `a spacing of ${SMALLEST} to ${LARGEST} mm`, told(spacing));
  }
  const directions = steps.map((step, axis) => scaled(step, 1 / (spacing[axis] as number))) as unknown as Grid["directions"];
  const cosines = [[0, 1], [0, 2], [1, 2]].map(([a, b]) => Math.abs(dot(directions[a as 0], directions[b as 0])));
  if (Math.max(...cosines) > SHEAR) throw faulty(series, "axes at right angles", "shear");
  return { shape, spacing, directions, origin: lps[3] };
}

/** Refuse a matrix whose spacing is not the one that the header states: volumes in ml would be wrong. */
function sameSpacing(grid: Grid, stated: Triple, series: string): void {
  const own: Triple = [grid.spacing[2], grid.spacing[1], grid.spacing[0]];
  const apart = own.map((value, axis) => ((stated[axis] as number) > 0 ? Math.abs(value / (stated[axis] as number) - 1) : 0));
  if (Math.max(...apart) > SPACINGS_AGREE) throw faulty(series, "its sform's spacing and pixdim to agree", `${told(own)} and ${told(stated)}`);
}

/** Refuse two orientations that name the axes differently; tell of a smaller disagreement. */
function both(sform: Grid, qform: Grid, series: string): Warning[] {
  const cosines = sform.directions.map((direction, axis) => dot(direction, qform.directions[axis] as Triple));
  if (Math.min(...cosines) < AXES_AGREE) throw faulty(series, "its sform and qform to agree", "axes that point elsewhere");
  sameSpacing(sform, [qform.spacing[2], qform.spacing[1], qform.spacing[0]], series);
  const [k, j, i] = sform.shape.map((length) => [0, length - 1]) as [number[], number[], number[]];
  const corners = k.flatMap((a) => j.flatMap((b) => i.map((c): Triple => [a, b, c])));
  const got = Math.max(...corners.map((corner) => norm(minus(position(sform, corner), position(qform, corner)))));
  return got <= SAID ? [] : [{ code: "orientations-differ", values: { series, got } }];
}

function told(values: Triple): string {
  return `${values.map((value) => Number(value.toPrecision(4))).join(" x ")} mm`;
}

function faulty(series: string, expected: string, got: string): Fault {
  return new Fault("geometry", { series, expected, got });
}
