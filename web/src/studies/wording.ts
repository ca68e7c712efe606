// What a series' description says: its kind, its contrast, why to leave it out. The vocabulary is the runtime's.
import table from "./wording.json";

export type Contrast = "pre" | "post";

const LEFT_OUT = Object.entries(table.left_out).map(([what, source]) => [what, new RegExp(source)] as const);
const [FLAIR, T1, T2, PLUS, MINUS, EITHER, BOTH, BEFORE, AFTER] =
  [table.flair, table.t1, table.t2, table.plus, table.minus, table.either, table.both, table.before, table.after].map(
    (source) => new RegExp(source)) as [RegExp, RegExp, RegExp, RegExp, RegExp, RegExp, RegExp, RegExp, RegExp];
const FAT = new RegExp(table.fat);
const [NOT_CONTRAST, NO_SUPPRESSION, NEGATED, SUBJECT] =
  [table.not_contrast, table.no_suppression, table.negated, table.subject].map((source) => new RegExp(source, "g")) as [RegExp, RegExp, RegExp, RegExp];

/** Lower case without accents and without BIDS's entities, whose labels are names, not words. */
function lower(text: string): string {
  return text.replace(SUBJECT, "").replaceAll("ß", "ss").normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

/** Letters, digits and "*" stay, all else becomes one blank. */
export function plain(text: string): string {
  return lower(text).replace(/[^a-z0-9*]+/g, " ").trim();
}

/** What a description names that is never one of the three sequences; undefined if nothing. */
export function whyLeftOut(text: string): string | undefined {
  const words = plain(text);
  return LEFT_OUT.find(([, pattern]) => pattern.test(words))?.[0];
}

export const namesFlair = (text: string): boolean => FLAIR.test(plain(text));
export const namesT1 = (text: string): boolean => T1.test(plain(text));
export const namesFatSuppression = (text: string): boolean => FAT.test(plain(text));
export const namesT2 = (text: string): boolean => T2.test(plain(text));

/** Whether a description names a multiplanar reformat; "t1_mpr" is an acquisition. */
export function namesReformat(text: string): boolean {
  const words = plain(text);
  return /\bmpr\b/.test(words) && !/\bt1\w* (3d )?mpr\b/.test(words);
}

/** What a description says of a contrast agent: "pre", "post", or undefined if nothing or both. */
export function contrastNamed(text: string): Contrast | undefined {
  const lowered = lower(text);
  const words = plain(text).replace(NOT_CONTRAST, " ");
  if (BOTH.test(words) || EITHER.test(lowered)) return undefined;
  const kept = words.replace(NO_SUPPRESSION, " ");
  const rest = kept.replace(NEGATED, " ");
  const minus = MINUS.test(lowered);
  const before = rest !== kept || minus || BEFORE.test(rest);
  const after = PLUS.test(lowered) || (!minus && AFTER.test(rest));
  return before === after ? undefined : before ? "pre" : "post";
}
