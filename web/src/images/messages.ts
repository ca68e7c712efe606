// What the page and the worker that opens images say to each other.
import type { FaultCode, Values } from "../faults";
import type { ByHand } from "../studies/series";
import type { Opened, SeriesFound } from "../types";
import type { Given } from "./opening";

export interface Open {
  readonly files: readonly Given[];
  readonly byHand: ByHand;
}

export type Answer =
  | { readonly kind: "opened"; readonly opened: Opened }
  | { readonly kind: "fault"; readonly code: FaultCode; readonly values: Values; readonly series?: readonly SeriesFound[] }
  | { readonly kind: "failed"; readonly got: string };
