/** One slice painted onto a canvas: grey levels, fill, outline, and the letters of the patient's sides. */

import type { Opened } from "../../types";
import { t } from "../language";
import type { View } from "../state";
import type { Findings } from "./findings";
import { slicePixels } from "./grey";
import { outline } from "./outline";

/** Of the overlay: seen on every grey, and by people with any kind of colour vision on a picture of greys. */
const OVERLAY = [255, 214, 0] as const;
const HALO = "rgba(0, 0, 0, 0.75)";

/** Widest canvas, device pixels a side: enough for a large screen, and within every browser's limits. */
const MOST_SIDE = 2048;

/** Size of a slice in equal steps: pixels stretched by the spacing, so that a millimetre is as long either way. */
export function proportions(images: Opened): { width: number; height: number } {
  const { row, column } = images.spacing ?? { row: 1, column: 1 };
  const unit = Math.min(row, column);
  return { width: (images.width * column) / unit, height: (images.height * row) / unit };
}

/**
 * Paint a slice over the whole canvas, whose size is set to the width wanted.
 *
 * @param width Device pixels.
 */
export function paint(
  canvas: HTMLCanvasElement,
  images: Opened,
  slice: number,
  view: View,
  findings: Findings | undefined,
  width: number,
): void {
  const shape = proportions(images);
  const scale = Math.min(width / shape.width, MOST_SIDE / Math.max(shape.width, shape.height));
  const [across, down] = [Math.max(1, Math.round(shape.width * scale)), Math.max(1, Math.round(shape.height * scale))];
  if (canvas.width !== across) canvas.width = across;
  if (canvas.height !== down) canvas.height = down;
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) return;
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  const pixels = slicePixels(images, slice, view);
  context.drawImage(bitmap(pixels, images), 0, 0, across, down);
  if (findings !== undefined) paintFindings(context, images, slice, view, findings);
  if (images.kind === "dicom" || images.kind === "nifti") paintSides(context);
}

function paintFindings(
  context: CanvasRenderingContext2D,
  images: Opened,
  slice: number,
  view: View,
  findings: Findings,
): void {
  const { width, height } = context.canvas;
  const size = images.height * images.width;
  const mask = findings.mask.subarray(slice * size, (slice + 1) * size);
  if (view.fill) {
    context.imageSmoothingEnabled = false;
    context.globalAlpha = view.opacity;
    context.drawImage(bitmap(filled(mask), images), 0, 0, width, height);
    context.globalAlpha = 1;
  }
  if (!view.outline) return;
  const [x, y] = [width / images.width, height / images.height];
  const line = Math.max(1.5, Math.max(width, height) / 420);
  context.beginPath();
  for (const [x0, y0, x1, y1] of outline(mask, images.height, images.width)) {
    context.moveTo(x0 * x, y0 * y);
    context.lineTo(x1 * x, y1 * y);
  }
  context.lineCap = "square";
  for (const [colour, thickness] of [[HALO, line * 2.4], [`rgb(${OVERLAY.join(" ")})`, line]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = thickness;
    context.stroke();
  }
}

/** Studies are shown with the patient's front up and right side on the left, as the network sees them. */
function paintSides(context: CanvasRenderingContext2D): void {
  const { width, height } = context.canvas;
  const letter = Math.max(12, Math.round(width / 28));
  context.font = `600 ${letter}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.lineWidth = letter / 5;
  context.strokeStyle = HALO;
  context.fillStyle = "#fff";
  const sides = [
    [t("view.right"), letter * 0.8, height / 2],
    [t("view.left"), width - letter * 0.8, height / 2],
    [t("view.anterior"), width / 2, letter * 0.8],
    [t("view.posterior"), width / 2, height - letter * 0.8],
  ] as const;
  for (const [text, x, y] of sides) {
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
}

function filled(mask: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  const shown = new Uint8ClampedArray(mask.length * 4);
  for (let pixel = 0; pixel < mask.length; pixel += 1) if (mask[pixel]) shown.set([...OVERLAY, 255], pixel * 4);
  return shown;
}

function bitmap(pixels: Uint8ClampedArray<ArrayBuffer>, images: Opened): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = images.width;
  canvas.height = images.height;
  canvas.getContext("2d")?.putImageData(new ImageData(pixels, images.width, images.height), 0, 0);
  return canvas;
}
