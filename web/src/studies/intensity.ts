// Voxel values to grey levels as the training data has them: linear, 0 for air, 255 for about the brightest voxel.
import { Fault } from "../faults";
import type { Volume } from "./geometry";
import { percentile } from "./percentile";

const WHITE = 255;
/** Percentile of the voxels other than air that stands for bright tissue. */
const BRIGHT = 99.5;
/** Most that grey level 255 may be of the value of bright tissue. */
const HEADROOM = 2.75;
/** Percentile that stands for the darkest voxels. */
const DARK = 0.5;
/** Part of bright tissue within which the darkest voxels count as 0. */
const NEAR_ZERO = 0.1;
/** Part of bright tissue above which the darkest voxels are an offset. */
const FAR_FROM_ZERO = 0.25;
/** Part of the voxels that must share one value for it to be a background that something filled in. */
const MANY = 0.01;

/**
 * A volume in grey levels 0 to 255, not rounded, on the same grid.
 *
 * Whole numbers up to 255, of which the highest is at least 128, are grey levels already.
 *
 * @throws Fault "series-values": a voxel is not a number, all are equal, or they are standardised around an air of 0.
 */
export function greyLevels({ voxels, grid }: Volume, series: string): Volume {
  let [low, high, whole] = [Infinity, -Infinity, true];
  for (const value of voxels) {
    if (!Number.isFinite(value)) throw unusable(series, "finite values", "NaN or infinity");
    low = Math.min(low, value);
    high = Math.max(high, value);
    whole &&= Number.isInteger(value);
  }
  if (low === high) throw unusable(series, "voxels that differ", `${low} in every voxel`);
  if (low >= 0 && high >= 128 && high <= WHITE && whole) return { voxels, grid };
  const padding = paddingOf(voxels, low);
  const air = Math.fround(airOf(voxels, padding, series));
  const above = voxels.map((value) => (value === padding ? 0 : value - air));
  const bright = above.filter((value) => value > 0);
  let most = 0;
  for (const value of bright) most = Math.max(most, value);
  const top = Math.min(most, HEADROOM * percentile(bright, BRIGHT, "single"));
  const scale = Math.fround(WHITE / top);
  for (let at = 0; at < above.length; at += 1) {
    above[at] = Math.min(Math.max(Math.fround((above[at] as number) * scale), 0), WHITE);
  }
  return { voxels: above, grid };
}

/** The value of air: 0, or where the darkest voxels are far from it, theirs or the padding's. */
function airOf(voxels: Float32Array, padding: number | undefined, series: string): number {
  if (padding !== undefined && !Number.isInteger(padding)) return padding; // of a volume that was standardised as a whole
  const rest = padding === undefined ? voxels : voxels.filter((value) => value !== padding);
  const [dark, bright] = [percentile(rest, DARK, "double"), percentile(rest, BRIGHT, "double")];
  if (Math.abs(dark) <= NEAR_ZERO * Math.max(bright, 0)) return 0;
  if (padding !== undefined && dark - padding <= bright - dark) return padding; // else it lies outside the scale
  if (dark < 0 && share(voxels, 0) >= MANY) throw unusable(series, "values in which air is the darkest", "standardised values around an air of 0");
  return dark < 0 || dark > FAR_FROM_ZERO * bright ? dark : 0;
}

/** The lowest value, if it is not 0 and so many voxels have it that something filled it in. */
function paddingOf(voxels: Float32Array, lowest: number): number | undefined {
  return lowest !== 0 && share(voxels, lowest) >= MANY ? lowest : undefined;
}

function share(voxels: Float32Array, wanted: number): number {
  let count = 0;
  for (const value of voxels) if (value === wanted) count += 1;
  return count / voxels.length;
}

function unusable(series: string, expected: string, got: string): Fault {
  return new Fault("series-values", { series, expected, got });
}
