// Percentiles as NumPy takes them, linear between ranks, to the last bit: thresholds of the frame hang on them.
//
// Source: Hyndman and Fan, Sample quantiles in statistical packages, 1996, definition 7.

/** The precision that the runtime's arrays have: a percentile by itself stays single, one of several is double. */
export type Precision = "single" | "double";

/**
 * A percentile of values, of which none is NaN.
 *
 * @param values At least one value.
 * @param percent 0 to 100.
 * @param precision Of the interpolation.
 * @example percentile(Float32Array.of(1, 2, 3, 4), 50, "single") // 2.5
 */
export function percentile(values: Float32Array | Uint8Array, percent: number, precision: Precision): number {
  const place = (values.length - 1) * (percent / 100);
  const rank = Math.min(Math.floor(place), values.length - 1);
  const [a, b] = values instanceof Uint8Array ? ofBytes(values, rank) : ofFloats(values, rank);
  const t = place >= values.length - 1 ? 0 : place - rank;
  if (values instanceof Uint8Array || precision === "double") {
    const apart = values instanceof Uint8Array ? b - a : Math.fround(b - a);
    return t >= 0.5 ? b - apart * (1 - t) : a + apart * t;
  }
  const f = Math.fround;
  const apart = f(b - a);
  return t >= 0.5 ? f(b - f(apart * f(1 - t))) : f(a + f(apart * f(t)));
}

/** The value of a rank and the next one. */
function ofBytes(values: Uint8Array, rank: number): [number, number] {
  const counts = new Uint32Array(256);
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  const at = (wanted: number): number => {
    let seen = 0;
    for (let value = 0; value < 256; value += 1) {
      seen += counts[value] ?? 0;
      if (seen > wanted) return value;
    }
    return 255;
  };
  return [at(rank), at(Math.min(rank + 1, values.length - 1))];
}

/** The same for floats: a histogram over their upper 16 bits, then a sort of the few values that share them. */
function ofFloats(values: Float32Array, rank: number): [number, number] {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const counts = new Uint32Array(1 << 16);
  for (const each of bits) {
    const key = ordered(each) >>> 16;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  const at = (wanted: number): number => {
    let before = 0;
    let key = 0;
    while (before + (counts[key] ?? 0) <= wanted) before += counts[key++] ?? 0;
    const alike = new Float32Array(counts[key] ?? 0);
    let found = 0;
    for (let index = 0; index < bits.length; index += 1) {
      if (ordered(bits[index] ?? 0) >>> 16 === key) alike[found++] = values[index] ?? 0;
    }
    return alike.sort()[wanted - before] ?? 0;
  };
  return [at(rank), at(Math.min(rank + 1, values.length - 1))];
}

/** A float's bits so that they sort as the float does. */
function ordered(bits: number): number {
  return (bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0;
}
