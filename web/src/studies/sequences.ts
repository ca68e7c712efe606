// What one series is: FLAIR, a T1, or neither, from its tags first and its description second.
//
// Where tags and description contradict each other, the series is not used. The limits are the runtime's.
import type { SeriesHeader } from "./series";
import { namesFatSuppression, namesFlair, namesReformat, namesT1, namesT2, whyLeftOut } from "./wording";
import table from "./wording.json";

export type Kind = "flair" | "t1" | "other";
type Tags = "flair" | "t1" | "stir" | "t2" | "gradient echo" | "unknown";

/** Times in ms: shortest inversion that nulls water, longest that nulls fat, and so on, as the runtime has them. */
const WATER = 1400;
const FAT = 350;
const FLAIR_TR = 3500;
const LONG_TE = 60;
const SHORT_TE = 45;
const T1_TR = 1300;
const SPIN_ECHO_TR = 300;
const GRADIENT_TE = 10;
const T1_INVERSION_TR = 3700;
const LONGEST = 60_000;
const FAT_OPTIONS = new Set(["FS", "FATSAT", "SFS"]);
const IMAGE_TYPES: Readonly<Record<string, string>> = table.image_types;

/** What a series is. */
export function kindOf(header: SeriesHeader): Kind {
  if (isLeftOut(header)) return "other";
  const text = textOf(header);
  const [t1, t2] = [namesT1(text), namesT2(text)];
  const flair = namesFlair(text) && !(t1 && !t2);
  const tags = byTags(header);
  if (tags === "flair") return t1 && !t2 && !flair ? "other" : "flair";
  if (flair) return namedFlair(header, tags);
  if (tags === "t1") return t2 && !t1 ? "other" : "t1";
  return t1 && !t2 && (tags === "unknown" || tags === "gradient echo") ? "t1" : "other";
}

/** The description; without one the protocol's name. */
export function textOf(header: SeriesHeader): string {
  return header.description || header.protocol || header.sequenceName;
}

/** Whether the header says that fat was suppressed. */
export function isFatSuppressed(header: SeriesHeader): boolean {
  return header.scanOptions.some((option) => FAT_OPTIONS.has(option)) || namesFatSuppression(textOf(header));
}

function isLeftOut(header: SeriesHeader): boolean {
  const text = textOf(header);
  if (header.modality !== "" && header.modality !== "MR") return true;
  if ((header.diffusion ?? 0) > 0 || header.scanningSequence.includes("EP")) return true;
  const types = header.imageType.map((value) => value.toUpperCase());
  if (types.some((value) => Object.hasOwn(IMAGE_TYPES, value)) || (types[0] === "DERIVED" && !header.lossy) || types[1] === "SECONDARY") return true;
  const acquired = header.scanningSequence.includes("GR") && header.scanningSequence.includes("IR");
  return whyLeftOut(text) !== undefined || (namesReformat(text) && !acquired);
}

/** A time as a header gives it, or undefined if it is missing, not above 0, or absurd. */
function time(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 && value < LONGEST ? value : undefined;
}

function byTags(header: SeriesHeader): Tags {
  const [repetition, echo, inversion] = [time(header.repetition), time(header.echo), time(header.inversion)];
  const has = (value: string): boolean => header.scanningSequence.includes(value);
  if (header.imageType.includes("FLUID_ATTENUATED")) return "flair";
  if (repetition === undefined || echo === undefined) return "unknown";
  if (has("GR")) {
    const prepared = has("IR") || header.sequenceVariant.includes("MP");
    const tissue = inversion === undefined || (inversion > FAT && inversion < WATER);
    return prepared && tissue && echo <= GRADIENT_TE ? "t1" : "gradient echo";
  }
  if (inversion !== undefined) {
    if (inversion <= FAT) return "stir";
    if (inversion >= WATER) return repetition >= FLAIR_TR && echo >= LONG_TE ? "flair" : "unknown";
    return echo <= SHORT_TE && repetition <= T1_INVERSION_TR ? "t1" : "unknown";
  }
  if (has("IR")) return "unknown";
  if (echo <= SHORT_TE && repetition <= T1_TR) return has("SE") || repetition >= SPIN_ECHO_TR ? "t1" : "unknown";
  const long = echo >= LONG_TE && repetition >= T1_TR;
  return has("SE") && (long || repetition > T1_INVERSION_TR) ? "t2" : "unknown";
}

/** A series called FLAIR whose tags do not show it; the inversion time is often missing. */
function namedFlair(header: SeriesHeader, tags: Tags): Kind {
  if (tags === "t1" && time(header.inversion) !== undefined) return "t1";
  return tags === "unknown" || (tags === "t2" && (time(header.repetition) ?? 0) >= FLAIR_TR) ? "flair" : "other";
}
