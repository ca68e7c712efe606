/** Segmentation: started, followed, cancelled. */

import type { Progress } from "../../types";
import { el, fill } from "../dom";
import { number, t } from "../language";
import type { Session } from "../session";
import { enable, isEnabled, section } from "./parts";

/** The panel, and how it is told of progress. */
export interface SegmentPanel {
  readonly element: HTMLElement;
  progress(progress: Progress): void;
  cancelled(): void;
}

export function segmentPanel(session: Session): SegmentPanel {
  const start = el("button", { id: "segment", type: "button", class: "primary" });
  const cancel = el("button", { id: "cancel", type: "button" }, t("segment.cancel"));
  const bar = el("progress", { id: "progress", max: 1, value: 0, "aria-label": t("segment.progress") });
  const running = el("p", { id: "progress-text" });
  const work = el("div", { id: "work" }, bar, running);
  const status = el("p", { id: "segment-status", role: "status" });
  let cancelled = false;
  start.addEventListener("click", () => {
    if (!isEnabled(start)) return;
    cancelled = false;
    bar.removeAttribute("value"); // not known until the first slice
    fill(running, t("bundle.loading"));
    void session.segment();
  });
  cancel.addEventListener("click", () => session.cancel());
  session.store.follow((state, before) => {
    const possible = state.bundle !== undefined && state.images !== undefined;
    const running = state.busy === "segmenting";
    fill(start, t(state.result === undefined ? "segment.start" : "segment.again"));
    enable(start, possible && state.busy === undefined);
    cancel.hidden = work.hidden = !running;
    // Who started by keyboard can cancel at once, and is back at the start afterwards.
    if (running && before.busy !== "segmenting" && document.activeElement === start) cancel.focus();
    if (!running && before.busy === "segmenting" && (document.activeElement === cancel || document.activeElement === document.body)) start.focus();
    if (state.images !== before.images || state.bundle !== before.bundle) cancelled = false;
    fill(status, statusText());
  });

  function statusText(): string {
    const { bundle, images, result, busy } = session.store.now;
    if (cancelled) return t("segment.cancelled");
    if (busy === "segmenting") return "";
    if (result !== undefined) {
      const done = t("segment.done", { seconds: number(result.seconds, 1), provider: result.provider });
      return result.voxels() === 0 ? `${done} ${t("segment.nothing")}` : done;
    }
    return bundle === undefined || images === undefined ? t("segment.need") : "";
  }

  const element = section("segmentation", t("segment.heading"), el("p", { class: "buttons" }, start, cancel), work, status);
  return {
    element,
    progress({ done, total }) {
      bar.max = total;
      bar.value = done;
      fill(running, t("segment.running", { done, total }));
    },
    cancelled() {
      cancelled = true;
      fill(status, statusText());
    },
  };
}
