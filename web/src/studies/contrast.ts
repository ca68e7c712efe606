// Whether a T1 was taken before or after a contrast agent: by its description, its agent tag, and the time. As the runtime.
//
// A description that says so is believed first, since some sites enter the agent once for the whole examination. Agent tags
// are believed if the T1s differ in them. Time decides what is left: contrast stays.
import { dot } from "./geometry";
import type { Series } from "./series";
import { type Contrast, contrastNamed, plain, whyLeftOut } from "./wording";
import table from "./wording.json";

export interface Judged {
  /** undefined if it cannot be told. */
  readonly contrast: Contrast | undefined;
  /** Whether nothing but the time since a like T1 tells, which a reader should know. */
  readonly byTimeAlone: boolean;
}

const NO_AGENT = new Set(table.no_agent);
/** Two like T1s that began within this time, in seconds, are taken for a repetition. */
const REPEAT = 300;
/** Cosine from which two slice normals count as one orientation. */
const ALONG = 0.9;

function told(contrast: Contrast | undefined, byTimeAlone = false): Judged {
  return { contrast, byTimeAlone };
}

/**
 * Before or after contrast, for each T1.
 *
 * @param study All series, whose agents, descriptions and times count too.
 */
export function judge(t1s: readonly Series[], study: readonly Series[]): Map<Series, Judged> {
  const words = new Map(t1s.map((each) => [each, contrastNamed(each.header.description)]));
  const contradicted = t1s.some((each) => hasAgent(each) && words.get(each) === "pre");
  const agents = !contradicted && (t1s.length < 2 || !t1s.every(hasAgent) || [...words.values()].includes("post"));
  const known = new Map<Series, Judged>();
  for (const each of t1s) {
    const contrast = words.get(each) ?? (agents && hasAgent(each) ? "post" : undefined);
    if (contrast !== undefined) known.set(each, told(contrast));
  }
  const first = firstContrast(study, known, agents);
  const number = firstNumber(t1s, known);
  for (const each of t1s) if (!known.has(each)) known.set(each, byTime(each, first, number));
  return first !== undefined || [...known.values()].some(({ contrast }) => contrast === "post") ? known : pairsByTime(t1s, known);
}

function hasAgent({ header }: Series): boolean {
  const words = plain(header.agent);
  return !NO_AGENT.has(words) && !/^(?:no|ohne|sans|sin|without) /.test(words);
}

/** Whether a series watches a contrast agent pass, or shows what it changed. */
function isBolus({ header }: Series): boolean {
  const words = plain(header.description);
  return /^(?:perfusion|a subtraction)/.test(whyLeftOut(words) ?? "") && !words.includes("asl");
}

/** Time of the first series that certainly has contrast. */
function firstContrast(study: readonly Series[], known: ReadonlyMap<Series, Judged>, agents: boolean): number | undefined {
  const times = study
    .filter((each) => known.get(each)?.contrast !== "pre" && (known.has(each) || (agents && hasAgent(each)) || isBolus(each)))
    .map((each) => each.header.acquired).filter((time) => time !== undefined);
  return times.length > 0 ? Math.min(...times) : undefined;
}

/** Lowest number of the T1s known to be after contrast; infinity if they have none; undefined if there is none. */
function firstNumber(t1s: readonly Series[], known: ReadonlyMap<Series, Judged>): number | undefined {
  const post = t1s.filter((each) => known.get(each)?.contrast === "post").map((each) => each.header.number);
  return post.length === 0 ? undefined : Math.min(...post.filter((number) => number !== undefined), Infinity);
}

/** A T1 without agent and without words; without times, one numbered before those with contrast is before it. */
function byTime({ header }: Series, first: number | undefined, firstNumbered: number | undefined): Judged {
  if (first === undefined && firstNumbered === undefined) return told("pre");
  const { acquired, number } = header;
  if (first === undefined || acquired === undefined || acquired === first) { // equal times are what de-identification leaves
    return told(firstNumbered !== undefined && (number === undefined || number < firstNumbered) ? "pre" : undefined);
  }
  return told(acquired < first ? "pre" : "post");
}

/** Where nothing speaks of contrast, two like T1s far apart in time are those before and after it. */
function pairsByTime(t1s: readonly Series[], known: Map<Series, Judged>): Map<Series, Judged> {
  const unnamed = t1s.filter((each) => contrastNamed(each.header.description) === undefined);
  for (const each of unnamed) {
    const like = unnamed.filter((other) => other !== each && areAlike(each, other));
    const [own, other] = [each.header.acquired, like[0]?.header.acquired];
    if (like.length === 0) continue;
    if (like.length > 1 || own === undefined || other === undefined || Math.abs(own - other) < REPEAT) known.set(each, told(undefined));
    else known.set(each, told(own < other ? "pre" : "post", true));
  }
  return known;
}

/** Whether two T1s are of one sequence and orientation. */
function areAlike(a: Series, b: Series): boolean {
  if (a.header.scanningSequence.includes("GR") !== b.header.scanningSequence.includes("GR")) return false;
  if (a.grid === undefined || b.grid === undefined) return a.grid === b.grid;
  return Math.abs(dot(a.grid.directions[0], b.grid.directions[0])) > ALONG;
}
