/** Grey levels as the screen shows them: one slice through a window. */

import type { Opened } from "../../types";
import type { Channel, View } from "../state";

const CHANNEL_AT: Readonly<Record<Exclude<Channel, "colour">, number>> = { pre: 0, flair: 1, post: 2 };

/** Least width of a window, grey levels. */
export const LEAST_WINDOW = 2;

/** For each grey level the screen's, of a window's width and middle. */
export function windowed(width: number, middle: number): Uint8ClampedArray {
  const low = middle - width / 2;
  const scale = 255 / Math.max(width, 1);
  return Uint8ClampedArray.from({ length: 256 }, (_, level) => (level - low) * scale);
}

/**
 * One slice as RGBA, H*W*4.
 *
 * In colour pre-contrast is red, FLAIR green and post-contrast blue, as the network's input is.
 */
export function slicePixels(images: Opened, slice: number, view: View): Uint8ClampedArray<ArrayBuffer> {
  const size = images.height * images.width;
  const screen = windowed(view.window, view.level);
  const shown = new Uint8ClampedArray(size * 4);
  const at = view.channel === "colour" ? [0, 1, 2] : Array<number>(3).fill(CHANNEL_AT[view.channel]);
  const [red = 0, green = 0, blue = 0] = at;
  for (let pixel = 0, from = slice * size * 3; pixel < size; pixel += 1, from += 3) {
    shown[pixel * 4] = screen[images.pixels[from + red] ?? 0] ?? 0;
    shown[pixel * 4 + 1] = screen[images.pixels[from + green] ?? 0] ?? 0;
    shown[pixel * 4 + 2] = screen[images.pixels[from + blue] ?? 0] ?? 0;
    shown[pixel * 4 + 3] = 255;
  }
  return shown;
}

/** A window and level within what can be shown. */
export function fittingWindow(window: number, level: number): { window: number; level: number } {
  return {
    window: Math.max(LEAST_WINDOW, Math.min(510, Math.round(window))),
    level: Math.max(0, Math.min(255, Math.round(level * 2) / 2)),
  };
}
