// The core on a bare page, driven by tests: each job names files, which the test's server hands out, and what to do.
import * as core from "../../src/core";
import { Fault, type Opened, type Segmented } from "../../src/types";

interface Job {
  readonly do: "bundle" | "golden" | "open" | "segment" | "cancel";
  /** Paths of the bundle's files, and of what is opened: on the disk, and as the page would see them. */
  readonly bundle?: readonly [disk: string, path: string][];
  readonly files?: readonly [disk: string, path: string][];
  readonly pinned?: string;
  readonly variant?: string;
  readonly threshold?: number;
  readonly threads?: number;
  /** Which series is what, by the series' UID or path; "none" leaves a T1 out. */
  readonly byHand?: Readonly<Record<string, string>>;
  /** What is sent back: name of the result by kind. */
  readonly save?: Readonly<Record<string, string>>;
}

/** Files asked of the test's server at once; browsers refuse thousands. */
const AT_ONCE = 64;

async function fetched(list: readonly [string, string][]): Promise<File[]> {
  const files: File[] = [];
  for (let at = 0; at < list.length; at += AT_ONCE) files.push(...await Promise.all(list.slice(at, at + AT_ONCE).map(fetchedOne)));
  return files;
}

async function fetchedOne([disk, path]: readonly [string, string]): Promise<File> {
  const answer = await fetch(`/disk?path=${encodeURIComponent(disk)}`);
  const file = new File([await answer.blob()], path.split("/").pop() ?? "");
  if (path.includes("/")) Object.defineProperty(file, "webkitRelativePath", { value: path });
  return file;
}

async function save(name: string | undefined, data: Uint8Array | Float32Array | Blob | undefined): Promise<void> {
  if (name === undefined || data === undefined) return;
  await fetch(`/result?name=${encodeURIComponent(name)}`, { method: "POST", body: data as BodyInit });
}

const segmenter = new core.Segmenter();
let loaded: { key: string; bundle: core.Loaded } | undefined;

async function bundleOf(job: Job): Promise<core.Loaded> {
  const key = JSON.stringify([job.bundle, job.variant, job.pinned, job.threads]);
  if (loaded?.key !== key) {
    const bundle = await core.openBundle(await fetched(job.bundle ?? []), job.pinned);
    await segmenter.load(bundle, job.variant, job.threads);
    loaded = { key, bundle };
  }
  return loaded.bundle;
}

function told(opened: Opened): object {
  const { name, kind, count, height, width, spacing, warnings, series } = opened;
  return { name, kind, count, height, width, spacing, warnings, series };
}

async function segmented(job: Job, signal?: AbortSignal): Promise<object> {
  const bundle = await bundleOf(job);
  const opened = await core.openImages(await fetched(job.files ?? []), job.byHand);
  let steps = 0;
  const found: Segmented = await segmenter.segment(opened, { onProgress: () => { steps += 1; }, ...(signal ? { signal } : {}) });
  await save(job.save?.["pixels"], opened.pixels);
  await save(job.save?.["mask"], found.mask(job.threshold));
  await save(job.save?.["source"], found.sourceMask(job.threshold));
  await save(job.save?.["probability"], found.probability);
  if (job.save?.["nifti"] !== undefined) await save(job.save["nifti"], await core.writeNifti(opened, found, job.threshold));
  if (job.save?.["tiff"] !== undefined) await save(job.save["tiff"], core.writeTiff(opened, found, job.threshold).blob);
  if (job.save?.["seg"] !== undefined) await save(job.save["seg"], core.writeSeg(opened, found, job.threshold));
  const { warnings, seconds, provider, variant } = found;
  return {
    ...told(opened), warnings, seconds, provider, variant, steps, digest: bundle.digest,
    voxels: found.voxels(job.threshold), ml: found.millilitres(job.threshold),
  };
}

async function done(job: Job): Promise<object> {
  if (job.do === "bundle") {
    const { digest, variant, card } = await core.openBundle(await fetched(job.bundle ?? []), job.pinned);
    return { digest, variant, card: card.length };
  }
  if (job.do === "golden") {
    const bundle = await bundleOf(job);
    return { outcome: await core.checkGolden(segmenter, bundle, job.variant ?? bundle.variant), provider: segmenter.provider };
  }
  if (job.do === "open") {
    const files = await fetched(job.files ?? []);
    const stalls: number[] = [];
    const watch = new PerformanceObserver((list) => { stalls.push(...list.getEntries().map(({ duration }) => duration)); });
    watch.observe({ entryTypes: ["longtask"] });
    const started = performance.now();
    const opened = await core.openImages(files, job.byHand);
    const seconds = (performance.now() - started) / 1000;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    watch.disconnect();
    await save(job.save?.["pixels"], opened.pixels);
    return { ...told(opened), seconds, stall: Math.max(0, ...stalls) };
  }
  if (job.do === "cancel") {
    await bundleOf(job);
    const stop = new AbortController();
    setTimeout(() => { stop.abort(); }, 300);
    return segmented(job, stop.signal);
  }
  return segmented(job);
}

/** A job's answer, or its fault; anything else that is thrown fails the test. */
async function run(job: Job): Promise<object> {
  try {
    return await done(job);
  } catch (error) {
    if (error instanceof core.StudyFault) return { fault: error.code, values: error.values, series: error.series };
    if (error instanceof Fault) return { fault: error.code, values: error.values };
    throw error;
  }
}

Object.assign(globalThis, { run });
