/** The images: opened from files or a folder, and what they are. */

import type { Opened } from "../../types";
import { el, fill } from "../dom";
import { number, t } from "../language";
import type { Session } from "../session";
import { fileButton, section } from "./parts";
import { seriesPart } from "./series_part";

export function imagesPanel(session: Session): HTMLElement {
  const status = el("div", { id: "images-status", role: "status" });
  const open = (folder: boolean): HTMLElement =>
    fileButton(
      folder ? "open-folder" : "open-files", t(folder ? "images.folder" : "images.files"), folder,
      () => session.isFree(), (found) => void session.openImages(found),
    );
  session.store.follow(({ images, busy }) => {
    if (images !== undefined) fill(status, ...described(images).map((text) => el("p", {}, text)));
    else fill(status, el("p", {}, t(busy === "images" ? "images.reading" : "images.none")));
  });
  return section(
    "images", t("images.heading"),
    el("p", { class: "buttons" }, open(false), open(true)),
    el("p", { class: "help" }, t("images.help")),
    status,
    seriesPart(session),
  );
}

/** What was opened, without a folder's name: a patient's may be in it. */
export function imagesText(images: Opened): string {
  const { name, count, height, width } = images;
  const kind = [t(`images.kind.${images.kind}`), name].filter((part) => part !== "").join(" ");
  return t(count === 1 ? "images.open.one" : "images.open", { kind, count, height, width });
}

function described(images: Opened): string[] {
  const { spacing } = images;
  const sizes =
    spacing === undefined
      ? t("images.nospacing")
      : t("images.spacing", { row: number(spacing.row, 2, 0), column: number(spacing.column, 2, 0), slice: number(spacing.slice, 2, 0) });
  return [imagesText(images), sizes];
}
