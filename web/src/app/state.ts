/** What the page knows at a time. Parts of the page read it, change it by `set`, and are told of changes. */

import type { ByHand, Loaded, Opened, Segmented, SeriesFound, Warning } from "../types";

export type Channel = "pre" | "flair" | "post" | "colour";
export const CHANNELS: readonly Channel[] = ["pre", "flair", "post", "colour"];

/** What is being waited for. */
export type Busy = "bundle" | "images" | "selftest" | "segmenting";

export interface State {
  readonly bundle: Loaded | undefined;
  /** The variant chosen to run, of those that the bundle has. */
  readonly variant: string;
  readonly images: Opened | undefined;
  /** The series of the study that was opened, or could not be opened as it is. */
  readonly series: readonly SeriesFound[];
  /** Those that were chosen by hand. */
  readonly byHand: ByHand;
  readonly result: Segmented | undefined;
  readonly busy: Busy | undefined;
  readonly slice: number;
  readonly threshold: number;
  readonly view: View;
}

/** How the picture is shown. */
export interface View {
  readonly channel: Channel;
  /** Width and middle of the grey levels that are spread over the screen's, of 0 to 255. */
  readonly window: number;
  readonly level: number;
  readonly outline: boolean;
  readonly fill: boolean;
  /** Of the fill, 0 to 1. */
  readonly opacity: number;
}

export const FULL_WINDOW = { window: 255, level: 127.5 } as const;

export const EMPTY: State = {
  bundle: undefined,
  variant: "",
  images: undefined,
  series: [],
  byHand: {},
  result: undefined,
  busy: undefined,
  slice: 0,
  threshold: 0.5,
  view: { channel: "flair", ...FULL_WINDOW, outline: true, fill: false, opacity: 0.35 },
};

type Listener = (now: State, before: State) => void;

export class Store {
  #now: State = EMPTY;
  readonly #listeners = new Set<Listener>();

  get now(): State {
    return this.#now;
  }

  /** Change some of it; listeners are told once. */
  set(change: Partial<State>): void {
    const before = this.#now;
    this.#now = { ...before, ...change };
    for (const listener of this.#listeners) listener(this.#now, before);
  }

  view(change: Partial<View>): void {
    this.set({ view: { ...this.#now.view, ...change } });
  }

  /** Tell nobody any more: the page is about to be built anew. */
  forgetListeners(): void {
    this.#listeners.clear();
  }

  /** Call a listener now and after each change. */
  follow(listener: Listener): void {
    this.#listeners.add(listener);
    listener(this.#now, this.#now);
  }
}

/** All reasons for distrust: those of the result, which hold those of the images, or of the images alone. */
export function warningsOf(state: State): readonly Warning[] {
  return state.result?.warnings ?? state.images?.warnings ?? [];
}

/** The slice nearest to the one asked for. */
export function clampedSlice(state: State, slice: number): number {
  return Math.max(0, Math.min((state.images?.count ?? 1) - 1, Math.round(slice)));
}
