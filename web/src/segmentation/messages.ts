// What the page and the worker say to each other.
import type { FaultCode, Values } from "../faults";
import type { Warning } from "../types";
import type { Inspection } from "./doubts";

export interface Load {
  readonly kind: "load";
  readonly model: Uint8Array<ArrayBuffer>;
  readonly threads: number;
}
export interface Run {
  readonly kind: "run";
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** N*H*W*3. */
  readonly pixels: Uint8Array<ArrayBuffer>;
  readonly inspection: Inspection;
}
export interface Cancel {
  readonly kind: "cancel";
}
export type Request = Load | Run | Cancel;

export type Reply =
  | { readonly kind: "loaded"; readonly threads: number }
  | { readonly kind: "slice"; readonly done: number; readonly total: number }
  | {
      readonly kind: "segmented";
      readonly mask: Uint8Array<ArrayBuffer>;
      readonly probability: Float32Array<ArrayBuffer>;
      readonly warnings: readonly Warning[];
    }
  | { readonly kind: "fault"; readonly code: FaultCode; readonly values: Values };
