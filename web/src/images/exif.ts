// The orientation that cameras and viewers store in EXIF. Source: CIPA DC-008 (EXIF 3.0), section 4.6.
import { unread } from "./raster";

const ORIENTATION = 274;
const SIZES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4 };

/**
 * Refuse pixels that a viewer would turn or mirror before it shows them; a block that is empty or damaged is ignored.
 *
 * @throws Fault "image-kind".
 */
export function refuseTurned(block: Uint8Array): void {
  const orientation = orientationOf(block);
  if (orientation >= 2 && orientation <= 8) throw unread("pixels stored upright", `orientation ${orientation}`);
}

function orientationOf(block: Uint8Array): number {
  const marked = String.fromCharCode(...block.subarray(0, 6)) === "Exif\0\0";
  const exif = marked ? block.subarray(6) : block;
  const order = String.fromCharCode(...exif.subarray(0, 2));
  if ((order !== "II" && order !== "MM") || exif.length < 8) return 1;
  const little = order === "II";
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const start = view.getUint32(4, little);
  if (start + 2 > exif.length) return 1;
  const end = Math.min(start + 2 + 12 * view.getUint16(start, little), exif.length - 11);
  for (let at = start + 2; at < end; at += 12) {
    const size = SIZES[view.getUint16(at + 2, little)];
    if (view.getUint16(at, little) !== ORIENTATION || size === undefined || view.getUint32(at + 4, little) === 0) continue;
    return size === 1 ? view.getUint8(at + 8) : size === 2 ? view.getUint16(at + 8, little) : view.getUint32(at + 8, little);
  }
  return 1;
}
