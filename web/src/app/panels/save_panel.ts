/** The mask as a file, written here and handed to the browser; and the report for paper. */

import { writeNifti } from "../../outputs/nifti";
import { writeSeg } from "../../outputs/seg";
import { writeTiff } from "../../outputs/tiff";
import type { Opened, Segmented } from "../../types";
import { el, fill } from "../dom";
import { size, t } from "../language";
import type { State, Store } from "../state";
import type { Key } from "../strings/en";
import { enable, isEnabled, section } from "./parts";

interface Saved {
  readonly blob: Blob;
  readonly name: string;
}

interface Format {
  readonly id: "nifti" | "tiff" | "seg";
  readonly write: (images: Opened, result: Segmented, threshold: number) => Promise<Saved>;
  /** What the images lack for this format; undefined if nothing. */
  readonly lacking: (images: Opened) => Key | undefined;
}

const FORMATS: readonly Format[] = [
  {
    id: "nifti",
    write: async (images, result, threshold) => ({
      blob: await writeNifti(images, result, threshold),
      name: `${fileStem(images)}_mask.nii.gz`,
    }),
    lacking: () => undefined,
  },
  { id: "tiff", write: async (images, result, threshold) => writeTiff(images, result, threshold), lacking: () => undefined },
  {
    id: "seg",
    write: async (images, result, threshold) => ({ blob: await writeSeg(images, result, threshold), name: "seg.dcm" }),
    lacking: ({ kind }) => (kind === "dicom" ? undefined : "save.seg.need"),
  },
];

export function savePanel(store: Store, fault: (thrown: unknown) => void, print: () => void): HTMLElement {
  const said = el("p", { id: "saved", role: "status" });
  const why = el("p", { id: "save-why", class: "help" });
  const buttons = FORMATS.map((format) => {
    const button = el("button", { "id": `save-${format.id}`, "type": "button", "aria-describedby": "save-why" }, t(`save.${format.id}`));
    button.addEventListener("click", () => {
      if (isEnabled(button)) void save(format, store.now, said).catch(fault);
    });
    return { button, format };
  });
  const printer = el("button", { id: "print", type: "button" }, t("save.print"));
  printer.addEventListener("click", () => isEnabled(printer) && print());
  store.follow((state, before) => {
    const missing = buttons.map(({ button, format }) => {
      const reason = lacking(format, state);
      enable(button, reason === undefined);
      return reason;
    });
    enable(printer, state.result !== undefined);
    fill(why, [...new Set(missing)].filter((key) => key !== undefined).map((key) => t(key)).join(" "));
    if (state.result !== before.result) fill(said);
  });
  return section("save", t("save.heading"), el("p", { class: "buttons" }, ...buttons.map(({ button }) => button), printer), why, said);
}

function lacking(format: Format, { images, result }: State): Key | undefined {
  return images === undefined || result === undefined ? "save.need" : format.lacking(images);
}

async function save(format: Format, { images, result, threshold }: State, said: HTMLElement): Promise<void> {
  if (images === undefined || result === undefined) return;
  const { blob, name } = await format.write(images, result, threshold);
  download(blob, name);
  fill(said, t("save.done", { name, size: size(blob.size) }));
}

/** A name for results: the picture's own, never a folder's, which may hold a patient's. */
export function fileStem({ name, kind }: Opened): string {
  const stem = name.replace(/\.(?:nii\.gz|[^.]+)$/i, "").replace(/[^\w.-]+/g, "_");
  return stem === "" ? kind : stem;
}

export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
