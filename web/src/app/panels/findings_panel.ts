/** What was found: volume, areas, the threshold, and every reason to distrust it. */

import { el, fill } from "../dom";
import { number, t } from "../language";
import { type State, type Store, warningsOf } from "../state";
import { areaText, volumeText, warningText } from "../words";
import type { Shown } from "../viewer/viewer";
import { enable, facts, field, isEnabled, section } from "./parts";

export function findingsPanel(store: Store, shown: Shown): HTMLElement {
  const figures = el("div", { id: "figures", role: "status" });
  const slider = el("input", { id: "threshold", type: "range", min: 0.01, max: 0.99, step: 0.01 });
  const value = el("output", { id: "threshold-value", for: "threshold" });
  const reset = el("button", { id: "threshold-reset", type: "button" }, t("threshold.reset"));
  const changed = el("p", { id: "threshold-changed", class: "warning", role: "status" });
  slider.addEventListener("input", () => store.set({ threshold: Number(slider.value) }));
  reset.addEventListener("click", () => isEnabled(reset) && store.set({ threshold: store.now.result?.threshold ?? store.now.threshold }));
  const thresholds = el("div", {}, field(t("threshold.label"), slider, value), changed, el("p", { class: "buttons" }, reset));
  const warnings = el("div", { id: "warnings", role: "status" });
  store.follow((state, before) => {
    const { result, threshold } = state;
    fill(figures, figuresOf(state, shown));
    thresholds.hidden = result === undefined;
    slider.value = String(threshold);
    slider.setAttribute("aria-valuetext", number(threshold, 2));
    fill(value, number(threshold, 2));
    const own = result?.threshold ?? threshold;
    changed.hidden = own === threshold;
    enable(reset, own !== threshold);
    const words = t("threshold.changed", { model: number(own, 2), value: number(threshold, 2) });
    if (changed.hidden || changed.textContent !== words) fill(changed, changed.hidden ? "" : words);
    if (warningsOf(state) !== warningsOf(before) || warnings.childElementCount === 0) fill(warnings, ...warningElements(state));
  });
  return section(
    "findings", t("figures.heading"),
    figures, thresholds,
    el("h3", {}, t("warnings.heading")),
    warnings,
  );
}

/** The figures, as the page and its print show them. */
export function figuresOf(state: State, shown: Shown): HTMLElement {
  const found = shown(state);
  const { images, slice, threshold } = state;
  if (found === undefined || images === undefined) return el("p", {}, t("figures.none"));
  return facts([
    [t("figures.volume"), el("strong", { id: "volume" }, volumeText(found.millilitres, found.voxels))],
    [t("figures.area"), areaText(found.areas[slice] ?? 0, images.spacing)],
    [t("figures.slices"), t("figures.of", { part: found.marked, whole: images.count })],
    [t("figures.threshold"), number(threshold, 2)],
  ]);
}

export function warningElements(state: State): HTMLElement[] {
  const warnings = warningsOf(state);
  if (warnings.length === 0) return [el("p", {}, state.images === undefined ? "" : t("warnings.none"))];
  return [
    el("ul", { class: "warnings" }, ...warnings.map((each) => el("li", { class: "warning" }, warningText(each)))),
    el("p", {}, t("warnings.check")),
  ];
}
