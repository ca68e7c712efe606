/** The outline of a mask: the edges between marked and unmarked pixels, so that it lies where the mask ends. */

/** A straight piece along pixel edges, in pixels: from (x0, y0) to (x1, y1). */
export type Piece = readonly [x0: number, y0: number, x1: number, y1: number];

/**
 * The pieces of the outline of one slice; beyond the picture nothing is marked.
 *
 * @param mask H*W values 0 or 1.
 */
export function outline(mask: Uint8Array, height: number, width: number): Piece[] {
  const marked = (row: number, column: number): number =>
    row < 0 || column < 0 || row >= height || column >= width ? 0 : (mask[row * width + column] ?? 0);
  const pieces: Piece[] = [];
  for (let row = 0; row <= height; row += 1) {
    for (const [from, to] of runs(width, (column) => marked(row - 1, column) !== marked(row, column)))
      pieces.push([from, row, to, row]);
  }
  for (let column = 0; column <= width; column += 1) {
    for (const [from, to] of runs(height, (row) => marked(row, column - 1) !== marked(row, column)))
      pieces.push([column, from, column, to]);
  }
  return pieces;
}

/** Runs of consecutive numbers below `length` for which something holds: first, and one past the last. */
function* runs(length: number, holds: (at: number) => boolean): Generator<readonly [number, number]> {
  let from = -1;
  for (let at = 0; at <= length; at += 1) {
    const now = at < length && holds(at);
    if (now && from < 0) from = at;
    if (!now && from >= 0) {
      yield [from, at];
      from = -1;
    }
  }
}
