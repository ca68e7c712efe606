// The mask as a NIfTI-1 file, in place for every reader.
//
// Where FLAIR is NIfTI, its own orientation is repeated field by field, since readers differ in which of two they take.
// Source: NIfTI-1.1 header, nifti.nimh.nih.gov, methods 2 (qform) and 3 (sform).
import type { NiftiFields } from "../images/nifti/fields";
import { unitOf } from "../images/nifti/grid";
import { cross, dot, type Grid, stepsOf, type Triple } from "../studies/geometry";
import type { Opened, Segmented } from "../types";

/** Bytes before the voxels, the empty list of extensions included. */
const HEADER = 352;
const UINT8 = 2;
const MM = 2;
const SCANNER = 1;

/**
 * The bytes of a .nii.gz file with values 0 and 1 in the source's own grid.
 *
 * Pictures state no orientation and no spacing; the file states none either.
 */
export async function writeNifti(opened: Opened, segmented: Segmented, threshold: number = segmented.threshold): Promise<Blob> {
  const { source } = opened;
  const header = new DataView(new ArrayBuffer(HEADER));
  const shape: Triple = source.kind === "study" ? source.grid.shape : [opened.count, opened.height, opened.width];
  header.setInt32(0, 348, true);
  [3, shape[2], shape[1], shape[0], 1, 1, 1, 1].forEach((length, at) => { header.setInt16(40 + 2 * at, length, true); });
  header.setInt16(70, UINT8, true);
  header.setInt16(72, 8, true);
  [HEADER, 1, 0].forEach((value, at) => { header.setFloat32(108 + 4 * at, value, true); });
  header.setFloat32(124, 1, true);
  const { name, version } = segmented.model;
  new TextEncoder().encode(`brainseg ${name} ${version}; research only`.slice(0, 79)).forEach((byte, at) => { header.setUint8(148 + at, byte); });
  [0x6e, 0x2b, 0x31, 0].forEach((byte, at) => { header.setUint8(344 + at, byte); });
  if (source.kind === "pictures") [1, 1, 1, 1].forEach((value, at) => { header.setFloat32(76 + 4 * at, value, true); });
  else if (source.nifti === undefined) place(header, source.grid);
  else placeLike(header, source.nifti, source.grid);
  const plain = new Blob([header.buffer, segmented.sourceMask(threshold) as Uint8Array<ArrayBuffer>]);
  return new Response(plain.stream().pipeThrough(new CompressionStream("gzip"))).blob();
}

/** Spacing, qform and sform of a grid. */
function place(header: DataView, grid: Grid): void {
  const ras = ([x, y, z]: Triple): Triple => [-x, -y, z];
  const [k, j, i] = stepsOf(grid).map(ras) as [Triple, Triple, Triple];
  const origin = ras(grid.origin);
  const [xs, ys, zs] = [2, 1, 0].map((axis) => ras(grid.directions[axis] as Triple)) as [Triple, Triple, Triple];
  const face = dot(cross(xs, ys), zs) > 0 ? 1 : -1;
  const [b, c, d] = quaternion(xs, ys, zs.map((value) => value * face) as unknown as Triple);
  floats(header, 76, [face, grid.spacing[2], grid.spacing[1], grid.spacing[0], 0, 0, 0, 0]);
  header.setUint8(123, MM);
  header.setInt16(252, SCANNER, true);
  header.setInt16(254, SCANNER, true);
  floats(header, 256, [b, c, d, ...origin]);
  floats(header, 280, [0, 1, 2].flatMap((row) => [i[row] as number, j[row] as number, k[row] as number, origin[row] as number]));
}

/** Spacing, qform and sform as FLAIR's own file states them. */
function placeLike(header: DataView, fields: NiftiFields, grid: Grid): void {
  const unit = unitOf(fields) ?? 1;
  const own = [2, 1, 0].map((axis) => (grid.spacing[axis] as number) / unit);
  const stated = own.map((value, at) => {
    const given = Math.abs(fields.pixdim[at + 1] as number);
    return given > 0 && Number.isFinite(given) ? given : value;
  });
  floats(header, 76, [(fields.pixdim[0] as number) < 0 ? -1 : 1, ...stated, 0, 0, 0, 0]);
  header.setUint8(123, fields.units & 7);
  const [qform, sform] = fields.codes.map((code) => Math.min(Math.max(code, 0), 0x7fff)) as [number, number];
  header.setInt16(252, qform, true);
  header.setInt16(254, sform, true);
  if (qform > 0) floats(header, 256, fields.quaternion);
  if (sform > 0) floats(header, 280, fields.rows);
}

function floats(header: DataView, from: number, values: readonly number[]): void {
  values.forEach((value, at) => { header.setFloat32(from + 4 * at, value, true); });
}

/** b, c, d of the rotation whose columns these are. Source: Shepperd, Quaternion from rotation matrix, 1978. */
function quaternion(x: Triple, y: Triple, z: Triple): Triple {
  const trace = x[0] + y[1] + z[2];
  const parts = [trace, x[0], y[1], z[2]];
  const most = parts.indexOf(Math.max(...parts));
  const found = (
    most === 0 ? [1 + trace, y[2] - z[1], z[0] - x[2], x[1] - y[0]]
    : most === 1 ? [y[2] - z[1], 1 + x[0] - y[1] - z[2], x[1] + y[0], z[0] + x[2]]
    : most === 2 ? [z[0] - x[2], x[1] + y[0], 1 + y[1] - x[0] - z[2], y[2] + z[1]]
    : [x[1] - y[0], z[0] + x[2], y[2] + z[1], 1 + z[2] - x[0] - y[1]]
  ) as [number, number, number, number];
  const length = Math.hypot(...found) * (found[0] < 0 ? -1 : 1);
  return [found[1] / length, found[2] / length, found[3] / length];
}
