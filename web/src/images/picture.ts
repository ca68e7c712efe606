// One slice from a picture's bytes; the content decides the format, not the name.
import { Fault, shown } from "../faults";
import { isJpeg, readJpeg } from "./jpeg";
import { isPng, readPng } from "./png";
import type { Raster } from "./raster";
import { readTiff } from "./tiff/reader";
import { isTiff } from "./tiff/tags";

/** Whether bytes begin as a picture that is read. */
export function isPicture(data: Uint8Array): boolean {
  return isTiff(data) || isPng(data) || isJpeg(data);
}

/**
 * Decode a picture of one slice: three channels of 8 bits.
 *
 * @throws Fault "image-…".
 */
export async function readPicture(data: Uint8Array<ArrayBuffer>, name: string): Promise<Raster> {
  try {
    const raster = await (isTiff(data) ? readTiff(data) : isPng(data) ? readPng(data) : isJpeg(data) ? readJpeg(data) : unknown(data));
    if (raster.channels !== 3) throw new Fault("image-grey");
    return raster;
  } catch (error) {
    throw error instanceof Fault ? error.named(name) : error;
  }
}

function unknown(data: Uint8Array): never {
  const start = Array.from(data.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  throw new Fault("image-unknown", { got: data.length === 0 ? "an empty file" : `a file that begins with ${shown(start)}` });
}
