/** The series of a study: what was found, what each is used as, and a choice by hand. */

import type { ByHand, SeriesFound } from "../../types";
import { el, fill } from "../dom";
import { number, plain, t } from "../language";
import type { Session } from "../session";
import { field } from "./parts";

type Role = "flair" | "pre" | "post";
const ROLES: readonly Role[] = ["pre", "flair", "post"];

export function seriesPart(session: Session): HTMLElement {
  const part = el("div", { id: "series-part" });
  session.store.follow(({ series, byHand, images }, before) => {
    if (series === before.series && byHand === before.byHand && images === before.images && part.hasChildNodes()) return;
    const focused = part.contains(document.activeElement) ? document.activeElement?.id : undefined;
    // A study that could not be opened needs a choice: the part is unfolded.
    const unfolded = part.querySelector("details")?.open === true || images === undefined;
    fill(part, series.length > 1 && shown(session, series, byHand, unfolded));
    if (focused !== undefined && focused !== "") document.getElementById(focused)?.focus();
  });
  return part;
}

function shown(session: Session, series: readonly SeriesFound[], byHand: ByHand, unfolded: boolean): HTMLElement {
  const controls = ROLES.map((role) => control(role, series, byHand[role]));
  const choice = (): ByHand => Object.fromEntries(ROLES.flatMap((role, at) => {
    const { value } = controls[at] as HTMLSelectElement;
    return value === "" ? [] : [[role, series[Number(value)]?.uid ?? "none"]];
  }));
  return el(
    "details", { id: "series", open: unfolded },
    el("summary", { id: "series-heading" }, t("series.heading")),
    el("p", { class: "help" }, t("series.help")),
    el("div", { "class": "scroll", "tabindex": 0, "role": "region", "aria-labelledby": "series-heading" }, table(series)),
    ...controls.map((each, at) => field(t(`view.channel.${ROLES[at] as Role}`), each)),
    el("p", { class: "buttons" }, el("button", { id: "series-open", type: "button", click: () => void session.openAgain(choice()) }, t("series.open"))),
  );
}

/** The series for a role: by the headers, none, or one of them by its place, as a uid may be a path with a folder's name. */
function control(role: Role, series: readonly SeriesFound[], chosen: string | undefined): HTMLSelectElement {
  const select = el(
    "select", { id: `series-${role}` },
    el("option", { value: "" }, t("series.automatic")),
    role !== "flair" && el("option", { value: "none" }, t("series.left-out")),
    ...series.map((each, at) => el("option", { value: at }, t("series.option", { ...each, number: each.number ?? "" }).trim())),
  );
  const at = series.findIndex(({ uid }) => uid === chosen);
  select.value = at >= 0 ? String(at) : (chosen ?? "");
  return select;
}

/** A series in a line: its number, description, slices and the time of day at which it began. */
export function seriesText({ number: order, description, count, time }: SeriesFound): string {
  const text = t("series.option", { number: order ?? "", description, count }).trim();
  return time === undefined ? text : `${text}, ${clock(time)}`;
}

function table(series: readonly SeriesFound[]): HTMLElement {
  const names = ["number", "description", "slices", "size", "spacing", "time", "role"] as const;
  return el(
    "table", {},
    el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, t(`series.${name}`))))),
    el("tbody", {}, ...series.map((each) => el("tr", {}, ...cells(each).map((text) => el("td", {}, text))))),
  );
}

function cells({ number: order, description, count, rows, columns, spacing, time, role, fault }: SeriesFound): string[] {
  const used = role === undefined ? (fault === undefined ? "–" : t("series.faulty")) : t(`view.channel.${role}`);
  return [
    order === undefined ? "–" : String(order), plain(description), String(count), rows === undefined || columns === undefined ? "–" : `${rows} × ${columns}`,
    spacing === undefined ? "–" : spacing.map((each) => number(each, 2, 0)).join(" × "), time === undefined ? "–" : clock(time), used,
  ];
}

/** Hours and minutes of a time in seconds since midnight. */
function clock(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  return `${two(seconds / 3600)}:${two((seconds % 3600) / 60)}`;
}
