// The slices of a series as a regular grid, or what is wrong with them.
//
// Nothing is guessed and nothing resampled; the bounds are the runtime's. Source: DICOM PS3.3 C.7.6.2.1.1.
import { LIMITS } from "../../bundle/limits";
import { Fault } from "../../faults";
import { cross, dot, type Grid, minus, norm, SAME_MM, scaled, type Triple } from "../../studies/geometry";
import { median } from "../../studies/measures";
import type { Warning } from "../../types";
import type { Slice } from "./slices";

const SAME_DIRECTION = 1e-3;
const RIGHT_ANGLE = 5e-3;
/** Largest deviation of a slice from its place in mm that counts as rounding, and the same as parts of the spacing. */
const ROUNDED = 0.1;
const UNEVEN = [0.01, 0.1] as const;
/** Largest sideways drift a mm of height that counts as rounding of the orientation. */
const DRIFT = 2e-3;
const SPACING = [0.01, 100] as const;
const FARTHEST = 1e5;

export interface Stack {
  /** Along the normal of rows x columns. */
  readonly slices: readonly Slice[];
  readonly grid: Grid;
  readonly warnings: readonly Warning[];
}

/**
 * Sort slices into a regular grid.
 *
 * @param same Whether two slices hold the same values; asked for slices at the same place.
 * @throws Fault "geometry".
 */
export async function stacked(slices: readonly Slice[], series: string, same: (one: Slice, other: Slice) => Promise<boolean>): Promise<Stack> {
  const faulty = (expected: string, got: string): Fault => new Fault("geometry", { series, expected, got });
  checkAlike(slices, faulty);
  const first = slices[0] as Slice;
  const directions = directionsOf(first.orientation as readonly number[], faulty);
  const height = (each: Slice): number => dot(each.position as Triple, directions[0]);
  const ordered = [...slices].sort((a, b) => height(a) - height(b));
  const kept: Slice[] = [];
  let repeated = 0;
  for (const each of ordered) {
    const last = kept[kept.length - 1];
    const step = last === undefined ? undefined : minus(each.position as Triple, last.position as Triple);
    if (last === undefined || step === undefined || (norm(step) > SAME_MM && Math.abs(dot(step, directions[0])) > SAME_MM)) kept.push(each);
    else if (norm(step) <= SAME_MM && (await same(last, each))) repeated += 1;
    else throw faulty("one slice at each place", `different ones at one place, such as ${each.source.name}`);
  }
  const { rows, columns } = first.source.format;
  if (kept.length * rows * columns > LIMITS.voxels) throw faulty(`at most ${LIMITS.voxels} voxels`, `${kept.length} x ${rows} x ${columns}`);
  const spacing = spacingOf(kept, directions, faulty);
  const [down, across] = first.spacing as readonly [number, number];
  const stated = first.between;
  const single = kept.length === 1;
  const doubted = kept.length > 1 && stated !== undefined && stated > 0 && Math.abs(stated - spacing) > Math.max(ROUNDED, 0.05 * spacing);
  return {
    slices: kept,
    grid: { shape: [kept.length, rows, columns], spacing: [spacing, down, across], directions, origin: (kept[0] as Slice).position as Triple },
    warnings: [
      ...(single ? [{ code: "single-slice" as const, values: { series, got: spacing } }] : []),
      ...(repeated > 0 ? [{ code: "duplicate-slices" as const, values: { series, count: repeated } }] : []),
      ...(doubted ? [{ code: "spacing-stated" as const, values: { series, stated: stated as number, got: spacing } }] : []),
    ],
  };
}

type Faulty = (expected: string, got: string) => Fault;

/** Refuse slices that do not say where they lie, say what cannot be, or differ in size, spacing or orientation. */
function checkAlike(slices: readonly Slice[], faulty: Faulty): void {
  const first = slices[0] as Slice;
  for (const each of slices) {
    const file = each.source.name;
    if (each.position === undefined) throw faulty("a valid ImagePositionPatient", file);
    if (each.orientation === undefined) throw faulty("a valid ImageOrientationPatient", file);
    if (each.spacing === undefined) throw faulty("a valid PixelSpacing", file);
    if (!each.spacing.every((value) => value >= SPACING[0] && value <= SPACING[1])) throw faulty(`PixelSpacing of ${SPACING[0]} to ${SPACING[1]} mm`, file);
    if (each.position.some((value) => Math.abs(value) > FARTHEST)) throw faulty("a place within a scanner", file);
    const apart = (one: readonly number[], other: readonly number[]): number => Math.max(...one.map((value, at) => Math.abs(value - (other[at] as number))));
    const [own, its] = [each.source.format, first.source.format];
    if (own.rows !== its.rows || own.columns !== its.columns) throw faulty("slices of one size", file);
    if (apart(each.spacing, first.spacing as readonly number[]) > 1e-3) throw faulty("slices of one PixelSpacing", file);
    if (apart(each.orientation, first.orientation as readonly number[]) > SAME_DIRECTION) throw faulty("slices of one orientation", file);
    if (each.source.frameOfReference !== first.source.frameOfReference) throw faulty("one frame of reference", file);
  }
}

/** Unit vectors along slices, rows, columns, at right angles to each other. */
function directionsOf(orientation: readonly number[], faulty: Faulty): [Triple, Triple, Triple] {
  const [row, column] = [orientation.slice(0, 3), orientation.slice(3)] as unknown as [Triple, Triple];
  const wrong = [row, column].some((vector) => Math.abs(norm(vector) - 1) > RIGHT_ANGLE) || Math.abs(dot(row, column)) > RIGHT_ANGLE;
  if (wrong) throw faulty("two unit vectors at right angles", orientation.join("\\"));
  const along = scaled(row, 1 / norm(row));
  const upright = minus(column, scaled(along, dot(column, along)));
  const down = scaled(upright, 1 / norm(upright));
  return [cross(along, down), down, along];
}

/** Distance in mm between neighbouring slices; uneven ones, gaps and shifts are refused. */
function spacingOf(slices: readonly Slice[], directions: readonly [Triple, Triple, Triple], faulty: Faulty): number {
  const first = slices[0] as Slice;
  if (slices.length === 1) {
    const stated = [first.between, first.thickness].find((value) => value !== undefined && value >= SPACING[0] && value <= SPACING[1]);
    if (stated === undefined) throw faulty("SliceThickness of a single slice", "none");
    return stated;
  }
  const offsets = slices.map((each) => minus(each.position as Triple, first.position as Triple));
  const heights = offsets.map((offset) => dot(offset, directions[0]));
  const steps = heights.slice(1).map((height, at) => height - (heights[at] as number));
  const usual = median(steps);
  const tolerance = Math.max(UNEVEN[0] * usual, Math.min(ROUNDED, UNEVEN[1] * usual));
  if (deviation(heights) > tolerance) {
    const most = Math.max(...steps);
    throw faulty(`slices ${usual.toFixed(2)} mm apart, none missing`, `up to ${most.toFixed(2)} mm after ${slices[steps.indexOf(most)]?.source.name ?? ""}`);
  }
  offsets.forEach((offset, at) => {
    const [height, drift] = [heights[at] as number, norm(minus(offset, scaled(directions[0], heights[at] as number)))];
    if (drift > Math.max(ROUNDED, DRIFT * height)) {
      throw faulty("slices straight above each other, without a tilt", `${drift.toFixed(2)} mm sideways over ${height.toFixed(2)} mm`);
    }
  });
  return (heights[heights.length - 1] as number) / (slices.length - 1);
}

/** Largest distance of heights from the straight line that fits them best. */
function deviation(heights: readonly number[]): number {
  const [n, middle] = [heights.length, (heights.length - 1) / 2];
  const mean = heights.reduce((total, height) => total + height, 0) / n;
  const [covariance, variance] = heights.reduce(([c, v], height, at) => [c + (at - middle) * (height - mean), v + (at - middle) ** 2], [0, 0]) as [number, number];
  const slope = covariance / variance;
  return Math.max(...heights.map((height, at) => Math.abs(height - mean - slope * (at - middle))));
}
