// Which series of a study is FLAIR, which the T1 before and which the T1 after contrast. As the runtime.
//
// Two series that could be FLAIR are a fault, since the mask is made on its grid; of several T1s that are known for what
// they are, the one that is most like FLAIR is taken. Whoever opens the images can say which series is which.
import { Fault, shown } from "../faults";
import type { Role } from "../outputs/source";
import type { Warning } from "../types";
import { type Judged, judge } from "./contrast";
import { dot, type Grid, minus, norm, position, stepsOf, type Triple } from "./geometry";
import { isFatSuppressed, kindOf } from "./sequences";
import type { ByHand, Series } from "./series";
import table from "./wording.json";

export interface Roles {
  readonly series: ReadonlyMap<Role, Series>;
  readonly warnings: readonly Warning[];
}

/** Where a grid is looked at to see how much of it another covers, as fractions of its sides. */
const INSIDE = [0.1, 0.3, 0.5, 0.7, 0.9] as const;
const COVERED = 0.7;
/** Cosine from which two slice normals count as one orientation. */
const ALONG = 0.9;

/**
 * Give out the roles.
 *
 * @param byHand Series that somebody chose, by their uid; "none" leaves a T1 out.
 * @param named Roles that usual names of files give, where nobody chose; tags and descriptions decide the rest.
 * @throws Fault "roles-unknown", "roles-several", "roles-twice", or that of a series which is needed.
 */
export function choose(series: readonly Series[], byHand: ByHand = {}, named: ReadonlyMap<Role, Series> = new Map()): Roles {
  const found = given(series, byHand);
  for (const [role, each] of named) if (byHand[role] === undefined && ![...found.values()].includes(each)) found.set(role, each);
  if (!found.has("flair")) found.set("flair", flairOf(series.filter((each) => ![...found.values()].includes(each))));
  const flair = found.get("flair") as Series;
  const judged = judge(series.filter((each) => kindOf(each.header) === "t1" && ![...found.values()].includes(each)), series);
  const wanted = (["pre", "post"] as const).filter((role) => !found.has(role) && byHand[role] !== "none");
  const warnings: Warning[] = [];
  for (const [role, each] of t1sOf(flair, found, judged, wanted)) {
    found.set(role, each);
    if (judged.get(each)?.byTimeAlone === true) warnings.push({ code: "role-by-time", values: { series: each.name, role } });
  }
  for (const each of found.values()) {
    if (each.fault !== undefined) throw each.fault;
    const { modality } = each.header;
    if (modality !== "" && modality !== "MR") throw new Fault("series-modality", { series: each.name, expected: "MR", got: shown(modality) });
  }
  const missing = (["pre", "post"] as const).filter((role) => !found.has(role));
  for (const each of series) {
    const contrast = judged.get(each)?.contrast;
    const isMissed = contrast === undefined ? missing.length > 0 : missing.includes(contrast);
    if (each.fault !== undefined && kindOf(each.header) === "t1" && isMissed) warnings.push({ code: "series-faulty", values: { series: each.name } });
  }
  for (const role of missing) warnings.push({ code: "sequence-missing", values: { role } });
  const part = flair.header.bodyPart.toLowerCase();
  if (part !== "" && !table.head.some((word) => part.includes(word))) warnings.push({ code: "body-part", values: { got: shown(part).slice(0, 16) } });
  return { series: found, warnings };
}

/** The series chosen by hand, each for one role. */
function given(series: readonly Series[], byHand: ByHand): Map<Role, Series> {
  const found = new Map<Role, Series>();
  for (const role of ["flair", "pre", "post"] as const) {
    const uid = byHand[role];
    if (uid === undefined || (uid === "none" && role !== "flair")) continue;
    const each = series.find((one) => one.uid === uid);
    if (each === undefined) throw new Fault("roles-unknown", { role, got: listed(series) });
    if ([...found.values()].includes(each)) throw new Fault("roles-twice", { series: each.name });
    found.set(role, each);
  }
  return found;
}

function flairOf(free: readonly Series[]): Series {
  const candidates = free.filter((each) => kindOf(each.header) === "flair");
  const sound = candidates.filter((each) => each.fault === undefined);
  if (sound.length === 1) return sound[0] as Series;
  if (candidates.length === 1) return candidates[0] as Series;
  if (candidates.length > 1) throw new Fault("roles-several", { role: "flair", got: listed(sound.length > 0 ? sound : candidates) });
  throw new Fault("roles-unknown", { role: "flair", got: listed(free) });
}

function listed(series: readonly Series[]): string {
  return series.slice(0, 20).map(({ name }) => shown(name)).join(", ");
}

/** The T1s for the roles that are wanted. */
function t1sOf(flair: Series, found: ReadonlyMap<Role, Series>, judged: ReadonlyMap<Series, Judged>, wanted: readonly ("pre" | "post")[]): [Role, Series][] {
  const free = [...judged.keys()].filter((each) => each.fault === undefined);
  const candidates = { pre: [] as Series[], post: [] as Series[] };
  for (const role of wanted) candidates[role] = free.filter((each) => judged.get(each)?.contrast === role);
  const unclear = free.filter((each) => judged.get(each)?.contrast === undefined);
  if (unclear.length > 0 && wanted.some((role) => candidates[role].length === 0)) throw new Fault("roles-unknown", { role: "pre", got: listed(unclear) });
  const of = (role: "pre" | "post"): Series[] => { const one = found.get(role); return one === undefined ? candidates[role] : [one]; };
  const best = bestPair(flair, of("pre"), of("post"));
  return wanted.flatMap((role): [Role, Series][] => { const each = best[role]; return each === undefined ? [] : [[role, each]]; });
}

/** The T1s before and after contrast that are most like FLAIR and each other. */
function bestPair(flair: Series, pre: readonly Series[], post: readonly Series[]): { pre: Series | undefined; post: Series | undefined } {
  const unlike = new Map([...pre, ...post].map((each) => [each, unlikeness(flair.grid, each.grid)]));
  const costOf = (pair: readonly (Series | undefined)[]): (number | string)[] => {
    const there = pair.filter((each) => each !== undefined);
    const total = (value: (each: Series) => number): number => there.reduce((sum, each) => sum + value(each), 0);
    const part = (at: 0 | 1 | 2): number => total((each) => (unlike.get(each) as Triple)[at]);
    return [
      part(0), part(1), new Set(there.map(({ header }) => header.scanningSequence.includes("GR"))).size,
      total(({ header }) => (isFatSuppressed(header) ? 1 : 0)), part(2), -total(({ header }) => header.acquired ?? 0),
      -total(({ header }) => header.number ?? 0), ...there.map(({ uid }) => uid),
    ];
  };
  let best: { pair: readonly [Series | undefined, Series | undefined]; cost: (number | string)[] } | undefined;
  for (const one of pre.length > 0 ? pre : [undefined]) {
    for (const other of post.length > 0 ? post : [undefined]) {
      const cost = costOf([one, other]);
      if (best === undefined || isLess(cost, best.cost)) best = { pair: [one, other], cost };
    }
  }
  return { pre: best?.pair[0], post: best?.pair[1] };
}

function isLess(one: readonly (number | string)[], other: readonly (number | string)[]): boolean {
  for (const [at, value] of one.entries()) {
    const its = other[at] as number | string;
    if (value !== its) return value < its;
  }
  return false;
}

/** How unlike FLAIR's a grid is: does not cover it, is of another orientation, differs in spacing. */
function unlikeness(flair: Grid | undefined, other: Grid | undefined): Triple {
  if (flair === undefined || other === undefined) return [0, 0, 0];
  const index = (kji: Triple): Triple => {
    const from = minus(position(flair, kji), other.origin);
    return stepsOf(other).map((step) => dot(from, step) / norm(step) ** 2) as unknown as Triple;
  };
  const places = INSIDE.flatMap((k) => INSIDE.flatMap((j) => INSIDE.map((i) => index([k, j, i].map((part, axis) => part * ((flair.shape[axis] as number) - 1)) as unknown as Triple))));
  const covered = places.filter((place) => place.every((at, axis) => at >= -1 && at <= (other.shape[axis] as number))).length;
  const turned = Math.abs(dot(flair.directions[0], other.directions[0])) < ALONG;
  const spacing = flair.spacing.reduce((sum, step, axis) => sum + Math.abs(Math.log(step / (other.spacing[axis] as number))), 0);
  return [covered / places.length < COVERED ? 1 : 0, turned ? 1 : 0, Number(spacing.toFixed(1))];
}
