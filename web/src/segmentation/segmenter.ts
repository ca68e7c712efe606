// A loaded model in a worker of its own: slices in, mask and probability out, with progress and cancel.
import { Fault } from "../faults";
import type { Loaded, Opened, Progress, Segmented, Warning } from "../types";
import { type Inspection, inspectionOf } from "./doubts";
import type { Reply, Request } from "./messages";
import { result } from "./result";

export interface SegmentOptions {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Most threads, as in the runtime: more gain nothing on slices of this size. */
const MOST_THREADS = 4;
/** How long a cancelled worker may finish its slice before it is ended, in ms. */
const PATIENCE = 1500;

/**
 * One model in one worker. `segment` calls are made one after the other.
 *
 * @example
 * const segmenter = new Segmenter();
 * await segmenter.load(await openBundle(files));
 * const found = await segmenter.segment(opened, { onProgress, signal });
 */
export class Segmenter {
  private worker: Worker | undefined;
  private loaded: Loaded | undefined;
  private variant = "";
  private threads = 1;

  /**
   * Load a variant of a bundle; a model that was loaded before is let go.
   *
   * @throws Fault "variant-unknown", "model-failed" or "out-of-memory".
   */
  async load(bundle: Loaded, variant: string = bundle.variant, threads: number = mostThreads()): Promise<void> {
    const file = bundle.manifest.variants.get(variant)?.file;
    const model = file === undefined ? undefined : bundle.files.get(file);
    if (model === undefined) {
      throw new Fault("variant-unknown", { variant, known: [...bundle.manifest.variants.keys()].join(", ") });
    }
    this.close();
    this.worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "segmentation" });
    try {
      const copy = model.slice();
      const answer = await this.ask({ kind: "load", model: copy, threads }, [copy.buffer]);
      this.threads = answer.kind === "loaded" ? answer.threads : 1;
    } catch (error) {
      this.close();
      throw error;
    }
    this.loaded = bundle;
    this.variant = variant;
  }

  /** What computes, in words. */
  get provider(): string {
    return `wasm, ${this.threads} thread${this.threads === 1 ? "" : "s"}`;
  }

  /**
   * Segment what was opened.
   *
   * @throws Fault "not-loaded", "image-size", "cancelled", "model-failed" or "out-of-memory".
   */
  async segment(opened: Opened, options: SegmentOptions = {}): Promise<Segmented> {
    const bundle = this.loaded;
    if (bundle === undefined) throw new Fault("not-loaded");
    checkSides(opened, bundle);
    if (this.worker === undefined) await this.load(bundle, this.variant);
    const started = performance.now();
    const answer = await this.run(opened, inspectionOf(bundle, opened), options);
    const seconds = (performance.now() - started) / 1000;
    return result({ opened, bundle, variant: this.variant, provider: this.provider, seconds, ...answer });
  }

  /** End the worker and free its memory. */
  close(): void {
    this.worker?.terminate();
    this.worker = undefined;
  }

  private async run(
    { count, height, width, pixels }: Opened,
    inspection: Inspection,
    { onProgress, signal }: SegmentOptions,
  ): Promise<{ mask: Uint8Array; probability: Float32Array; warnings: readonly Warning[] }> {
    if (signal?.aborted === true) throw new Fault("cancelled");
    const copy = pixels.slice();
    const answer = await this.ask({ kind: "run", count, height, width, pixels: copy, inspection }, [copy.buffer], onProgress, signal);
    if (answer.kind !== "segmented") throw new Fault("model-failed", { got: answer.kind });
    return answer;
  }

  /** Send a request, and wait for its last reply. */
  private ask(
    request: Request,
    transfer: Transferable[],
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<Reply> {
    const worker = this.worker;
    if (worker === undefined) return Promise.reject(new Fault("not-loaded"));
    const settled = new AbortController();
    const answer = new Promise<Reply>((resolve, reject) => {
      const within = { signal: settled.signal };
      worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
        if (data.kind === "slice") onProgress?.(data);
        else if (data.kind === "fault") reject(new Fault(data.code, data.values));
        else resolve(data);
      }, within);
      worker.addEventListener("error", (event) => {
        this.close();
        reject(new Fault("model-failed", { got: event.message || "the worker ended" }));
      }, within);
      signal?.addEventListener("abort", () => {
        worker.postMessage({ kind: "cancel" } satisfies Request);
        setTimeout(() => {
          if (settled.signal.aborted) return;
          this.close(); // the next call starts a new one
          reject(new Fault("cancelled"));
        }, PATIENCE);
      }, within);
      worker.postMessage(request, transfer);
    });
    return answer.finally(() => settled.abort());
  }
}

/** Threads of WebAssembly need a page that is isolated from others by its server's headers. */
function mostThreads(): number {
  return crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
}

function checkSides({ name, height, width }: Opened, { manifest }: Loaded): void {
  const { min_side: least, max_side: most } = manifest.limits;
  if (Math.min(height, width) < least || Math.max(height, width) > most) {
    throw new Fault("image-size", { file: name, least, most, got: `${height} x ${width}` });
  }
}
