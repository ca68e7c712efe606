/** The report for paper: picture with outline, figures, warnings, model and digest; shown when the page is printed. */

import type { Opened } from "../types";
import { el, fill } from "./dom";
import { dateTime, number, t } from "./language";
import { figuresOf, warningElements } from "./panels/findings_panel";
import { imagesText } from "./panels/images_panel";
import { facts } from "./panels/parts";
import { seriesText } from "./panels/series_part";
import type { State, Store } from "./state";
import type { Shown } from "./viewer/viewer";
import { paint } from "./viewer/painting";

/** Width of a printed picture, pixels: 12 cm at 200 dpi. */
const WIDTH = 960;

/** To be filled in by hand. */
const LINE = "______________________________";

export interface Report {
  readonly element: HTMLElement;
  /** Fill the report in and print the page. */
  print(): void;
}

export function report(store: Store, shown: Shown): Report {
  const element = el("section", { "id": "report", "class": "print-only", "aria-hidden": "true" });
  const write = (): void => fill(element, ...reportOf(store.now, shown));
  addEventListener("beforeprint", write);
  return {
    element,
    print: () => {
      write();
      window.print();
    },
  };
}

function reportOf(state: State, shown: Shown): HTMLElement[] {
  const { bundle, images, result, slice, view } = state;
  if (bundle === undefined || images === undefined || result === undefined) return [el("p", {}, t("figures.none"))];
  const canvas = el("canvas");
  paint(canvas, images, slice, { ...view, outline: true }, shown(state), WIDTH);
  const caption = t("print.picture", {
    number: slice + 1,
    count: images.count,
    channel: t(`view.channel.${view.channel}`),
    window: number(view.window),
    level: number(view.level, 1, 0),
  });
  return [
    el("p", { class: "print-title" }, `${t("title")}: ${t("print.title")}`),
    el("p", { class: "print-research" }, t("research")),
    el("figure", {}, canvas, el("figcaption", {}, caption)),
    figures(state, shown),
    el("p", { class: "print-title" }, t("warnings.heading")),
    ...warningElements(state),
    facts([
      [t("print.patient"), LINE],
      [t("print.images"), imagesText(images)],
      ...seriesUsed(images),
      [t("print.model"), `${result.model.name} ${result.model.version}, ${result.variant}`],
      [t("print.digest"), el("code", {}, result.model.digest)],
      [t("print.provider"), result.provider],
      [t("print.made"), dateTime(new Date())],
      [t("print.signature"), LINE],
    ]),
  ];
}

/** The series of a study that were used, by what finds them again in an archive; a single file is named by its own name. */
function seriesUsed({ name, series = [] }: Opened): [name: string, value: string][] {
  if (name !== "") return [];
  return series.flatMap((each): [string, string][] =>
    each.role === undefined ? [] : [[t(`view.channel.${each.role}`), seriesText(each)]]);
}

/** The page's own figures, without identifiers, which stand on the page already. */
function figures(state: State, shown: Shown): HTMLElement {
  const found = figuresOf(state, shown);
  for (const each of found.querySelectorAll("[id]")) each.removeAttribute("id");
  return found;
}
