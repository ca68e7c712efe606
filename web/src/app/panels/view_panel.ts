/** How the picture is shown: sequence, outline, fill, window and level; and the keys that do the same. */

import { el, fill } from "../dom";
import { number, t } from "../language";
import { CHANNELS, type Channel, FULL_WINDOW, type Store } from "../state";
import type { Key } from "../strings/en";
import { fittingWindow, LEAST_WINDOW } from "../viewer/grey";
import { field, section, tick } from "./parts";

const KEYS: readonly Key[] = ["keys.slice", "keys.ten", "keys.ends", "keys.finding", "keys.overlay", "keys.window", "keys.drag"];

export function viewPanel(store: Store): HTMLElement {
  const channel = el("select", { id: "channel" }, ...CHANNELS.map((each) => el("option", { value: each }, t(`view.channel.${each}`))));
  channel.addEventListener("change", () => store.view({ channel: channel.value as Channel }));
  const outline = tick("outline", t("view.outline"), (ticked) => store.view({ outline: ticked }));
  const filled = tick("fill", t("view.fill"), (ticked) => store.view({ fill: ticked }));
  const opacity = el("input", { id: "opacity", type: "range", min: 5, max: 100, step: 5 });
  const opacityText = el("output", { for: "opacity" });
  opacity.addEventListener("input", () => store.view({ opacity: Number(opacity.value) / 100, fill: true }));
  const window = levelInput("window", LEAST_WINDOW, 510, 1);
  const level = levelInput("level", 0, 255, 0.5);
  for (const input of [window, level])
    input.addEventListener("change", () => store.view(fittingWindow(numberOf(window, FULL_WINDOW.window), numberOf(level, FULL_WINDOW.level))));
  const reset = el("button", { id: "window-reset", type: "button", click: () => store.view(FULL_WINDOW) }, t("view.window.reset"));
  store.follow(({ view }) => {
    channel.value = view.channel;
    outline.box.checked = view.outline;
    filled.box.checked = view.fill;
    opacity.value = String(Math.round(view.opacity * 100));
    fill(opacityText, t("view.percent", { value: number(view.opacity * 100) }));
    window.value = String(view.window);
    level.value = String(view.level);
  });
  return section(
    "view", t("view.heading"),
    field(t("view.channel"), channel),
    outline.row,
    filled.row,
    field(t("view.opacity"), opacity, opacityText),
    field(t("view.window"), window),
    field(t("view.level"), level),
    el("p", { class: "buttons" }, reset),
    el("details", {}, el("summary", {}, t("keys.heading")), el("ul", { id: "keys" }, ...KEYS.map((key) => el("li", {}, t(key))))),
  );
}

function levelInput(id: string, min: number, max: number, step: number): HTMLInputElement {
  return el("input", { id, type: "number", min, max, step });
}

function numberOf(input: HTMLInputElement, otherwise: number): number {
  return Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : otherwise;
}
