// The usual names of NIfTI files: BraTS's, BIDS's, and those of plain folders; which role they name. The names are the
// runtime's.
import type { Role } from "../../outputs/source";
import { contrastNamed } from "../../studies/wording";
import table from "../../studies/wording.json";

const SUFFIXES: Readonly<Record<string, string>> = table.suffixes;
const BIDS_FOLDERS = new Set(["anat", "dwi", "func", "fmap", "perf"]);
const MADE = new RegExp(table.made, "i");

/** A file's name without .nii or .nii.gz. */
export function stem(name: string): string {
  return name.replace(/\.nii(\.gz)?$/i, "");
}

/** The role that a usual name says; "other" for a file that is none of the three, undefined if it says nothing. */
export function roleByName(file: string): Role | "other" | undefined {
  const name = stem(file);
  if (isMadeName(name)) return "other";
  const last = lastOf(name);
  const role = Object.hasOwn(SUFFIXES, last) ? (SUFFIXES[last] as Role | "other") : undefined;
  return role === "pre" && withContrast(name) ? "post" : role;
}

/** Whether a name is that of something made from images, such as a mask. */
export function isMadeName(name: string): boolean {
  const without = name.replace(/(?<![A-Za-z])sub-[A-Za-z0-9]+/g, "");
  return MADE.test(without.replace(/^(tumou?r|lesion|label|seg)[_-]?\d+_/i, ""));
}

/** Whether a label of BIDS's says that contrast was given. */
function withContrast(name: string): boolean {
  const labels = new Map([...name.matchAll(new RegExp(table.labels, "gi"))].map((found) => [(found[1] ?? "").toLowerCase(), found[2] ?? ""]));
  const agent = labels.get("ce") ?? "none";
  labels.delete("ce");
  return !["no", "none", "pre"].includes(agent.toLowerCase()) || [...labels.values()].some((label) => contrastNamed(label) === "post");
}

/** Whether files by their paths belong to several studies: to subjects and sessions of BIDS, to folders, or to patients by name. */
export function areSeveralStudies(paths: readonly string[]): boolean {
  const images = paths.filter((path) => roleByName(fileName(path)) !== "other");
  const groups = new Map<string, string[]>();
  for (const path of images) {
    const [folder, subject] = subjectOf(path);
    const key = `${folder}\0${subject}`;
    groups.set(key, [...(groups.get(key) ?? []), path]);
  }
  if (groups.size !== 1) return groups.size > 1;
  const several = subjectOf(images[0] as string)[1] === "" && images.filter((path) => roleByName(fileName(path)) === "flair").length > 1;
  return several && new Set(images.map(beforeSequence)).size > 1;
}

function fileName(path: string): string {
  return path.split("/").pop() ?? "";
}

/** BIDS's folder, and subject with session; else the file's folder, and "". */
function subjectOf(path: string): [folder: string, subject: string] {
  const parts = path.split("/").slice(0, -1);
  const subject = /^(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?_/.exec(fileName(path));
  if (subject === null) return [parts.join("/"), ""];
  const above = BIDS_FOLDERS.has(parts[parts.length - 1] ?? "") ? parts.slice(0, -1) : parts;
  return [above.join("/"), subject.slice(1).filter((part) => part !== undefined).join("_")];
}

/** What a usual name says before the sequence, such as the patient's code; "" if the name is not usual. */
function beforeSequence(path: string): string {
  const name = fileName(path);
  return roleByName(name) === undefined ? "" : stem(name).replace(/[_\-. ]*(?:t1w?[_-](?:post|pre|gd|gad|ce|c)|t2[_-]flair|[A-Za-z0-9]+)$/i, "");
}

/** The last part of a name; "t1_post" and the like are one part. */
function lastOf(name: string): string {
  const joined = name.toLowerCase().replace(/t1w?[_-](post|pre|gd|gad|ce|c)$/, "t1$1").replace(/t2[_-]flair$/, "flair");
  return joined.split(/[_\-. ]/).pop() ?? "";
}
