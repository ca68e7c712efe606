/** The picture: one slice, moved through by wheel, keys and slider, windowed by dragging, described in words. */

import { el, fill } from "../dom";
import { number, t } from "../language";
import { CHANNELS, clampedSlice, FULL_WINDOW, type State, type Store } from "../state";
import { areaText } from "../words";
import { type Findings, FindingsOf, nextMarked } from "./findings";
import { fittingWindow } from "./grey";
import { paint, proportions } from "./painting";

/** Slices that page up and page down move by. */
const PAGE = 10;
/** Grey levels that a key changes window or level by. */
const STEP = 5;

/** The findings of what is shown; undefined before anything was segmented. */
export type Shown = (state: State) => Findings | undefined;

/** Findings at the state's threshold, reckoned once. */
export function shownFindings(): Shown {
  const kept = new FindingsOf();
  return ({ images, result, threshold }) =>
    images === undefined || result === undefined ? undefined : kept.of(images, result, threshold);
}

export function viewer(store: Store, shown: Shown): HTMLElement {
  const canvas = el("canvas", { id: "picture-canvas", "aria-hidden": "true" });
  const empty = el("p", { class: "empty" }, t("view.empty"));
  const picture = el(
    "div",
    { id: "picture", class: "picture", role: "slider", tabindex: 0, "aria-label": t("view.canvas"), "aria-describedby": "keys" },
    canvas,
  );
  const slider = el("input", { id: "slice", type: "range", min: 1, step: 1, "aria-label": t("view.slice") });
  const position = el("p", { id: "position", class: "position" });
  const profile = el("canvas", { class: "profile", role: "img", "aria-label": t("view.profile"), height: 36 });
  const jumps = jumpButtons(store, shown);
  const whole = el("div", { class: "viewer" }, empty, picture, slider, profile, position, jumps);

  listenToKeys(picture, store, shown);
  listenToWheel(picture, store);
  listenToDrag(picture, store);
  slider.addEventListener("input", () => store.set({ slice: clampedSlice(store.now, Number(slider.value) - 1) }));

  const repaint = onceAFrame(() => {
    const { images, slice, view } = store.now;
    if (images === undefined || !canvas.isConnected) return;
    const width = Math.round(picture.clientWidth * devicePixelRatio);
    if (width > 0) paint(canvas, images, slice, view, shown(store.now), width);
    paintProfile(profile, shown(store.now), slice);
  });
  new ResizeObserver(repaint).observe(picture);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  store.follow((state, before) => {
    const open = state.images !== undefined;
    empty.hidden = open;
    for (const part of [picture, position]) part.hidden = !open;
    slider.hidden = (state.images?.count ?? 0) < 2;
    profile.hidden = jumps.hidden = state.result === undefined || slider.hidden;
    if (state.images === undefined) return;
    if (state.images !== before.images || picture.style.aspectRatio === "") {
      const { width, height } = proportions(state.images);
      picture.style.aspectRatio = `${width} / ${height}`;
    }
    describe(state, shown(state), picture, slider, position);
    repaint();
  });
  return whole;
}

/** Say what is shown, to those who see it and to those who hear it. */
function describe(
  state: State,
  findings: Findings | undefined,
  picture: HTMLElement,
  slider: HTMLInputElement,
  position: HTMLElement,
): void {
  const { images, slice } = state;
  if (images === undefined) return;
  const place = t("view.position", { number: slice + 1, count: images.count });
  const area = findings?.areas[slice];
  const found =
    area === undefined
      ? t("view.unsegmented")
      : area === 0
        ? t("view.nofinding")
        : t("view.finding", { area: areaText(area, images.spacing) });
  const text = `${place}: ${found}`;
  slider.max = String(images.count);
  slider.value = String(slice + 1);
  slider.setAttribute("aria-valuetext", text);
  picture.setAttribute("aria-valuemin", "1");
  picture.setAttribute("aria-valuemax", String(images.count));
  picture.setAttribute("aria-valuenow", String(slice + 1));
  picture.setAttribute("aria-valuetext", text);
  fill(position, text);
}

function jumpButtons(store: Store, shown: Shown): HTMLElement {
  const jump = (label: Parameters<typeof t>[0], to: (found: Findings, slice: number) => number | undefined): HTMLElement =>
    el("button", { type: "button", click: () => moveTo(store, shown, to) }, t(label));
  return el(
    "div",
    { class: "buttons" },
    jump("view.previous", (found, slice) => nextMarked(found.areas, slice, -1)),
    jump("view.largest", (found) => found.largest),
    jump("view.next", (found, slice) => nextMarked(found.areas, slice, 1)),
  );
}

function moveTo(store: Store, shown: Shown, to: (found: Findings, slice: number) => number | undefined): void {
  const found = shown(store.now);
  const slice = found === undefined ? undefined : to(found, store.now.slice);
  if (slice !== undefined) store.set({ slice });
}

function moveBy(store: Store, slices: number): void {
  store.set({ slice: clampedSlice(store.now, store.now.slice + slices) });
}

function changeWindow(store: Store, window: number, level: number): void {
  const { view } = store.now;
  store.view(fittingWindow(view.window + window, view.level + level));
}

function listenToKeys(picture: HTMLElement, store: Store, shown: Shown): void {
  const keys: Readonly<Record<string, () => void>> = {
    "ArrowUp": () => moveBy(store, 1),
    "ArrowRight": () => moveBy(store, 1),
    "ArrowDown": () => moveBy(store, -1),
    "ArrowLeft": () => moveBy(store, -1),
    "PageUp": () => moveBy(store, PAGE),
    "PageDown": () => moveBy(store, -PAGE),
    "Home": () => store.set({ slice: 0 }),
    "End": () => store.set({ slice: clampedSlice(store.now, Infinity) }),
    "n": () => moveTo(store, shown, (found, slice) => nextMarked(found.areas, slice, 1)),
    "p": () => moveTo(store, shown, (found, slice) => nextMarked(found.areas, slice, -1)),
    "m": () => moveTo(store, shown, (found) => found.largest),
    "o": () => store.view({ outline: !store.now.view.outline }),
    "f": () => store.view({ fill: !store.now.view.fill }),
    "c": () => store.view({ channel: CHANNELS[(CHANNELS.indexOf(store.now.view.channel) + 1) % CHANNELS.length] ?? "flair" }),
    "w": () => changeWindow(store, STEP, 0),
    "W": () => changeWindow(store, -STEP, 0),
    "l": () => changeWindow(store, 0, STEP),
    "L": () => changeWindow(store, 0, -STEP),
    "r": () => store.view(FULL_WINDOW),
  };
  picture.addEventListener("keydown", (event) => {
    const action = keys[event.key];
    if (action === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    action();
  });
}

/** A notch of a wheel is a slice; a trackpad's small steps add up to one. Ctrl and wheel stays the browser's zoom. */
function listenToWheel(picture: HTMLElement, store: Store): void {
  let left = 0;
  const notch = 50;
  picture.addEventListener(
    "wheel",
    (event) => {
      if (event.ctrlKey || (store.now.images?.count ?? 0) < 2) return;
      event.preventDefault();
      left += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * notch;
      const slices = Math.trunc(left / notch);
      if (slices === 0) return;
      left -= slices * notch;
      moveBy(store, Math.sign(slices) * Math.min(3, Math.abs(slices)));
    },
    { passive: false },
  );
}

function listenToDrag(picture: HTMLElement, store: Store): void {
  picture.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    const start = { x: event.clientX, y: event.clientY, ...store.now.view };
    const gone = new AbortController();
    picture.setPointerCapture(event.pointerId);
    picture.addEventListener(
      "pointermove",
      (move) => store.view(fittingWindow(start.window + move.clientX - start.x, start.level + (start.y - move.clientY) / 2)),
      gone,
    );
    for (const end of ["pointerup", "pointercancel"]) picture.addEventListener(end, () => gone.abort(), gone);
  });
}

/** Bars of the area in each slice, the shown one marked. */
function paintProfile(canvas: HTMLCanvasElement, findings: Findings | undefined, slice: number): void {
  if (findings === undefined || canvas.clientWidth === 0) return;
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  if (context === null) return;
  const style = getComputedStyle(canvas);
  const bar = canvas.width / findings.areas.length;
  const most = Math.max(1, ...findings.areas);
  findings.areas.forEach((area, at) => {
    const height = area === 0 ? 1 : Math.max(3, (area / most) * canvas.height);
    context.fillStyle = at === slice ? style.color : style.borderTopColor;
    context.fillRect(at * bar, canvas.height - (at === slice ? Math.max(height, canvas.height / 4) : height), Math.max(1, bar - 1), canvas.height);
  });
  canvas.setAttribute("aria-label", `${t("view.profile")}: ${findings.areas.map((area) => number(area)).join(", ")}`.slice(0, 2000));
}

/** Do something before the next frame, once however often it is asked for. */
function onceAFrame(work: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}
