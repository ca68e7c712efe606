/** What went wrong, at the top of the page and read out at once: what, expected, found, remedy. */

import { el, fill } from "../dom";
import { t } from "../language";
import { spoken, type Told, toldOf } from "../words";

export interface Messages {
  readonly element: HTMLElement;
  fault(thrown: unknown): void;
  clear(): void;
  /** Words for those who hear the page, for what is seen elsewhere. */
  say(text: string): void;
}

/** @param before What was shown before the page was built anew in another language. */
export function messages(before: Told | undefined, keep: (told: Told | undefined) => void): Messages {
  const alert = el("div", { id: "fault", role: "alert" });
  const live = el("p", { id: "live", class: "unseen", "aria-live": "polite" });
  const show = (told: Told | undefined): void => {
    keep(told);
    fill(alert, told !== undefined && faultElement(told, () => show(undefined)));
  };
  show(before);
  return {
    element: el("div", {}, alert, live),
    fault: (thrown) => show(toldOf(thrown)),
    clear: () => show(undefined),
    say: (text) => fill(live, text),
  };
}

function faultElement(told: Told, close: () => void): HTMLElement {
  const { what, expected, got, remedy } = spoken(told);
  const line = (name: string, text: string | undefined): HTMLElement | undefined =>
    text === undefined ? undefined : el("div", {}, el("dt", {}, name), el("dd", {}, text));
  return el(
    "div",
    { class: "fault" },
    el("p", { class: "fault-head" }, el("strong", {}, t("fault.heading")), el("button", { type: "button", click: close }, t("fault.close"))),
    el("p", { id: "fault-what" }, what),
    el(
      "dl",
      { class: "facts" },
      line(t("fault.expected"), expected),
      line(t("fault.got"), got),
      line(t("fault.remedy"), remedy),
      told.said !== undefined && el("div", {}, el("dt", {}, t("node.says")), el("dd", { lang: "en" }, told.said)),
      el("div", {}, el("dt", {}, t("fault.code")), el("dd", {}, el("code", {}, told.code))),
    ),
  );
}
