// Where a volume's voxels lie in the patient: grids, and volumes on them.
//
// Positions are in mm in DICOM's patient coordinates (LPS): x grows to the patient's left, y to the back, z to the head.
// Legend: K slices, R rows, C columns; kji a voxel's index in that order.
// Source: DICOM PS3.3 C.7.6.2.1.1.

export type Triple = readonly [number, number, number];

/** Largest distance in mm at which two positions count as equal. */
export const SAME_MM = 0.01;

/** A regular grid of voxels. */
export interface Grid {
  /** Slices, rows, columns. */
  readonly shape: Triple;
  /** mm between the centres of neighbouring slices, rows, columns; each above 0. */
  readonly spacing: Triple;
  /** Row i is the unit vector, LPS, along which index i grows. */
  readonly directions: readonly [Triple, Triple, Triple];
  /** Centre of voxel (0, 0, 0), LPS mm. */
  readonly origin: Triple;
}

/** Values on a grid: K*R*C float32, all finite. */
export interface Volume {
  readonly voxels: Float32Array;
  readonly grid: Grid;
}

export const dot = (a: Triple, b: Triple): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const norm = (a: Triple): number => Math.sqrt(dot(a, a));
export const scaled = (a: Triple, by: number): Triple => [a[0] * by, a[1] * by, a[2] * by];
export const plus = (a: Triple, b: Triple): Triple => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const minus = (a: Triple, b: Triple): Triple => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const cross = (a: Triple, b: Triple): Triple => [
  a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
];

/** Steps in mm, LPS, from a voxel to the next along each index. */
export function stepsOf(grid: Grid): [Triple, Triple, Triple] {
  return [0, 1, 2].map((i) => scaled(grid.directions[i] as Triple, grid.spacing[i] as number)) as [Triple, Triple, Triple];
}

/** Position of a voxel; fractions of an index lie between voxels. */
export function position(grid: Grid, kji: Triple): Triple {
  const [k, j, i] = stepsOf(grid);
  return plus(grid.origin, plus(scaled(k, kji[0]), plus(scaled(j, kji[1]), scaled(i, kji[2]))));
}

/** Volume of one voxel in ml. */
export function voxelMl(grid: Grid): number {
  return (grid.spacing[0] * grid.spacing[1] * grid.spacing[2]) / 1000;
}

/** Whether two grids have the same shape and all eight corners within a tolerance in mm. */
export function sameGrid(one: Grid, other: Grid, tolerance = SAME_MM): boolean {
  if (one.shape.some((length, axis) => length !== other.shape[axis])) return false;
  return corners(one.shape).every((kji) => norm(minus(position(one, kji), position(other, kji))) <= tolerance);
}

function corners([k, j, i]: Triple): Triple[] {
  return [0, k - 1].flatMap((a) => [0, j - 1].flatMap((b) => [0, i - 1].map((c): Triple => [a, b, c])));
}
