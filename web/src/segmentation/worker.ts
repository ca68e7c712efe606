// The worker: onnxruntime's WebAssembly, one session, slice after slice.
//
// Slices run one by one, as in the runtime, so that an answer does not depend on its neighbours.
import * as ort from "onnxruntime-web/wasm";
import glue from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { Fault, shown } from "../faults";
import { doubts } from "./doubts";
import type { Load, Reply, Request, Run } from "./messages";

const scope = self as unknown as DedicatedWorkerGlobalScope;
let session: ort.InferenceSession | undefined;
let cancelled = false;
/** Requests run one after the other; a cancel does not wait. */
let line: Promise<void> = Promise.resolve();

scope.onmessage = (event: MessageEvent<Request>) => {
  const request = event.data;
  if (request.kind === "cancel") {
    cancelled = true;
    return;
  }
  line = line.then(() => (request.kind === "load" ? load(request) : run(request))).catch(tellFault);
};

function reply(message: Reply, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}

async function load(request: Load): Promise<void> {
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = { mjs: new URL(glue, scope.location.href).href, wasm: new URL(wasm, scope.location.href).href };
  ort.env.wasm.numThreads = request.threads;
  await session?.release();
  session = undefined;
  session = await ort.InferenceSession.create(request.model, {
    executionProviders: ["wasm"],
    // A thread that waits sleeps: spinning ones take the processor from those that compute.
    extra: { session: { intra_op: { allow_spinning: "0" }, inter_op: { allow_spinning: "0" } } },
  });
  reply({ kind: "loaded", threads: ort.env.wasm.numThreads ?? 1 });
}

async function run({ count, height, width, pixels, inspection }: Run): Promise<void> {
  if (session === undefined) throw new Fault("not-loaded");
  cancelled = false;
  const area = height * width;
  const mask = new Uint8Array(count * area);
  const probability = new Float32Array(count * area);
  for (let index = 0; index < count; index += 1) {
    await breath();
    if (cancelled) throw new Fault("cancelled");
    const slice = pixels.subarray(index * area * 3, (index + 1) * area * 3);
    const found = await session.run({ image: new ort.Tensor("uint8", slice, [1, height, width, 3]) });
    mask.set(checked(found["mask"], "uint8", area), index * area);
    probability.set(checked(found["probability"], "float32", area), index * area);
    for (const value of Object.values(found)) value.dispose();
    reply({ kind: "slice", done: index + 1, total: count });
  }
  if (!probability.every((value) => value >= 0 && value <= 1) || !mask.every((value) => value <= 1)) {
    throw new Fault("model-failed", { got: "answers outside 0 to 1" });
  }
  const warnings = doubts(inspection, pixels, [count, height, width], mask);
  reply({ kind: "segmented", mask, probability, warnings }, [mask.buffer, probability.buffer]);
}

/** An output's values, if they are what the contract says. */
function checked<K extends "uint8" | "float32">(tensor: ort.Tensor | undefined, type: K, area: number): ort.TypedTensor<K>["data"] {
  if (tensor === undefined || tensor.type !== type || tensor.size !== area) {
    throw new Fault("model-failed", { got: `an output of ${tensor?.type ?? "nothing"}, ${tensor?.dims.join(" x ") ?? ""}` });
  }
  return tensor.data as ort.TypedTensor<K>["data"];
}

/** Lets messages in: a cancel is heard between two slices. */
function breath(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/** Any error as a fault: the worker's outermost edge. */
function tellFault(error: unknown): void {
  if (error instanceof Fault) {
    reply({ kind: "fault", ...error.toJSON() });
    return;
  }
  const got = shown(error instanceof Error ? error.message : String(error));
  const memory = error instanceof RangeError || /memory|bad_alloc/i.test(got);
  reply({ kind: "fault", code: memory ? "out-of-memory" : "model-failed", values: { got } });
}
