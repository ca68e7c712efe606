/** What the page does when it is asked to: open, segment, cancel, test itself. Faults and progress are told onwards. */

import { openBundle } from "../bundle/bundle";
import { toleranceOf } from "../bundle/manifest";
import { Fault } from "../faults";
import { openImages } from "../images/open";
import { checkGolden, type GoldenOutcome } from "../segmentation/golden";
import { Segmenter } from "../segmentation/segmenter";
import { type ByHand, type Loaded, type Progress, StudyFault } from "../types";
import { type Busy, clampedSlice, FULL_WINDOW, type Store } from "./state";
import { findings } from "./viewer/findings";
import { PageFault } from "./words";

/** What the reference cases gave, and the difference of a probability that is allowed. */
export interface SelfTest extends GoldenOutcome {
  readonly tolerance: number;
}

/** Told of what happens. */
export interface Telling {
  fault(thrown: unknown): void;
  /** What failed before is no longer so. */
  clear(): void;
  progress(progress: Progress): void;
  cancelled(): void;
}

export class Session {
  readonly #segmenter = new Segmenter();
  #stop: AbortController | undefined;
  /** The files of the images that were opened last. */
  #files: File[] = [];
  /** What the worker has loaded. */
  #running: { bundle: Loaded; variant: string } | undefined;

  constructor(
    readonly store: Store,
    readonly telling: Telling,
  ) {}

  /** Whether nothing else runs; that it does is told, so that nothing that was asked for is dropped without a word. */
  isFree(): boolean {
    if (this.store.now.busy === undefined) return true;
    this.telling.fault(new PageFault("busy"));
    return false;
  }

  /** Open a model, or images, whichever was picked. */
  async open(files: File[], pinned: string): Promise<void> {
    await (files.some((file) => file.name === "manifest.json") ? this.openBundle(files, pinned) : this.openImages(files));
  }

  async openBundle(files: File[], pinned: string): Promise<void> {
    await this.#busy("bundle", async () => {
      if (!isSecureContext) throw new PageFault("insecure");
      this.store.set({ bundle: undefined, result: undefined });
      const bundle = await openBundle(files, pinned);
      await this.#load(bundle, bundle.variant);
      this.store.set({ bundle, variant: bundle.variant, threshold: bundle.manifest.threshold });
    });
  }

  /** Run another variant of the model from now on; a result of the one before is dropped. */
  async useVariant(variant: string): Promise<void> {
    const { bundle } = this.store.now;
    if (bundle === undefined || variant === this.store.now.variant) return;
    await this.#busy("bundle", async () => {
      this.store.set({ result: undefined });
      await this.#load(bundle, variant);
      this.store.set({ variant });
    });
  }

  async openImages(files: File[]): Promise<void> {
    await this.#openImages(files, {});
  }

  /** Open the same files again, with series chosen by hand. */
  async openAgain(byHand: ByHand): Promise<void> {
    await this.#openImages(this.#files, byHand);
  }

  async #openImages(files: File[], byHand: ByHand): Promise<void> {
    await this.#busy("images", async () => {
      const again = files === this.#files;
      this.#files = files;
      this.store.set({ images: undefined, result: undefined, byHand, ...(again ? {} : { series: [] }) });
      try {
        const images = await openImages(files, byHand);
        const { view } = this.store.now;
        this.store.set({ images, series: images.series ?? [], slice: Math.floor(images.count / 2), view: { ...view, ...FULL_WINDOW } });
      } catch (thrown) {
        if (thrown instanceof StudyFault) this.store.set({ series: thrown.series });
        throw thrown;
      }
    });
  }

  /** Segment what is open, and show the slice where most was found. */
  async segment(): Promise<void> {
    const { bundle, images, variant } = this.store.now;
    if (bundle === undefined || images === undefined) return;
    await this.#busy("segmenting", async () => {
      this.store.set({ result: undefined });
      const stop = (this.#stop = new AbortController());
      await this.#load(bundle, variant);
      const result = await this.#segmenter.segment(images, {
        onProgress: (progress) => this.telling.progress(progress),
        signal: stop.signal,
      });
      const { largest } = findings(images, result, this.store.now.threshold);
      this.store.set({ result, slice: clampedSlice(this.store.now, largest ?? this.store.now.slice) });
    });
  }

  cancel(): void {
    this.#stop?.abort();
  }

  /** Run the model's reference cases; undefined if that was not possible. */
  async selfTest(): Promise<SelfTest | undefined> {
    const { bundle, variant } = this.store.now;
    if (bundle === undefined) return undefined;
    let found: SelfTest | undefined;
    await this.#busy("selftest", async () => {
      await this.#load(bundle, variant);
      const outcome = await checkGolden(this.#segmenter, bundle, variant);
      const entry = bundle.manifest.variants.get(variant);
      const tolerance = entry && toleranceOf(entry, "wasm");
      if (outcome === undefined || tolerance === undefined) {
        throw new Fault("bundle-schema", { where: "golden", expected: "reference cases and a tolerance", got: "none" });
      }
      found = { ...outcome, tolerance: tolerance.probability };
    });
    return found;
  }

  async #load(bundle: Loaded, variant: string): Promise<void> {
    if (this.#running?.bundle === bundle && this.#running.variant === variant) return;
    this.#running = undefined;
    await this.#segmenter.load(bundle, variant);
    this.#running = { bundle, variant };
  }

  /** Do one thing at a time, another is refused; a fault is told, and the page goes on. */
  async #busy(busy: Busy, work: () => Promise<void>): Promise<void> {
    if (!this.isFree()) return;
    this.telling.clear();
    this.store.set({ busy });
    try {
      await work();
    } catch (thrown) {
      if (isCancelled(thrown)) this.telling.cancelled();
      else this.telling.fault(thrown);
    } finally {
      this.#stop = undefined;
      this.store.set({ busy: undefined });
    }
  }
}

function isCancelled(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "cancelled";
}
