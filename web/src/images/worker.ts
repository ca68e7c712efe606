// The worker that opens images: reads, scales, frames and inspects them, and hands the memory over.
import { Fault } from "../faults";
import { StudyFault } from "../studies/series";
import type { Opened } from "../types";
import type { Answer, Open } from "./messages";
import { opened } from "./opening";

const scope = self as unknown as DedicatedWorkerGlobalScope;

scope.onmessage = ({ data }: MessageEvent<Open>) => {
  void opened(data.files, data.byHand).then(hand, tell);
};

function hand(found: Opened): void {
  const levels = found.source.kind === "study" ? [...found.source.levels.values()].map(({ voxels }) => voxels.buffer) : [];
  const buffers = new Set([found.pixels.buffer, ...levels] as ArrayBuffer[]);
  scope.postMessage({ kind: "opened", opened: found } satisfies Answer, [...buffers]);
}

function tell(error: unknown): void {
  scope.postMessage(answerOf(error));
}

/** What is told of an error; engines throw a RangeError for memory that they cannot give. */
function answerOf(error: unknown): Answer {
  if (error instanceof StudyFault) return { kind: "fault", code: error.code, values: error.values, series: error.series };
  if (error instanceof Fault) return { kind: "fault", code: error.code, values: error.values };
  if (error instanceof RangeError) return { kind: "fault", code: "out-of-memory", values: { got: error.message } };
  return { kind: "failed", got: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}
