// How a series was acquired, out of a file's header: attributes of single images, and of multi-frame objects' groups.
// Source: DICOM PS3.3 C.8.3.1 (MR Image), C.8.13.4 and C.8.13.5 (enhanced MR), C.7.6.4b (enhanced contrast).
import { NO_HEADER, type SeriesHeader } from "../../studies/series";
import type { DataSet } from "./elements";

/** The elements that headers are made of. */
export const HEADER_TAGS = [
  0x00080005, 0x00080008, 0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002a, 0x00080030, 0x00080031, 0x00080032,
  0x00080033, 0x00080060, 0x0008103e, 0x00180010, 0x00180012, 0x00180015, 0x00180020, 0x00180021, 0x00180022, 0x00180024, 0x00180080, 0x00180081,
  0x00180082, 0x00181030, 0x00189005, 0x00189008, 0x00189087, 0x00200011, 0x00282110, 0x52009229, 0x52009230,
] as const;

/** When images were acquired: the day, if it is known, and seconds of that day. */
export interface Moment {
  readonly day: number | undefined;
  readonly seconds: number;
}

const SECONDS_A_DAY = 86_400;
const ECHO_PULSE: Readonly<Record<string, readonly string[]>> = { SPIN: ["SE"], GRADIENT: ["GR"], BOTH: ["SE", "GR"] };

/** The header of the series that a file belongs to; `acquired` is left to `momentOf`. */
export function headerOf(data: DataSet): SeriesHeader {
  const groups = new Groups(data);
  const pulse = ECHO_PULSE[data.text(0x00189008)] ?? [];
  const named = data.texts(0x00180020);
  const coded = data.first(0x00180012);
  const agent = data.text(0x00180010) || (coded === undefined ? "" : coded.text(0x00080104) || coded.text(0x00080100));
  return {
    ...NO_HEADER, modality: data.text(0x00080060), description: data.text(0x0008103e), protocol: data.text(0x00181030),
    sequenceName: data.text(0x00180024) || data.text(0x00189005),
    scanningSequence: named.length > 0 ? named : [...pulse, ...(groups.text(0x00189115, 0x00189009) === "YES" ? ["IR"] : [])],
    sequenceVariant: data.texts(0x00180021), scanOptions: data.texts(0x00180022), imageType: data.texts(0x00080008),
    repetition: data.number(0x00180080) ?? groups.number(0x00189112, 0x00180080),
    echo: data.number(0x00180081) ?? groups.number(0x00189114, 0x00189082),
    inversion: data.number(0x00180082) ?? groups.number(0x00189115, 0x00189079),
    agent: groups.text(0x00189341, 0x00189342) === "NO" ? "" : agent, number: data.whole(0x00200011),
    bodyPart: data.text(0x00180015) || groups.anatomy().toUpperCase(),
    diffusion: data.number(0x00189087) ?? groups.number(0x00189117, 0x00189087), lossy: isLossy(data),
  };
}

/** Whether a header says that its image was compressed with loss, now or before. */
export function isLossy(data: DataSet): boolean {
  return data.text(0x00282110) === "01";
}

/** When a file's images were acquired: of the acquisition, else of the frame, the content, the series. */
export function momentOf(data: DataSet): Moment | undefined {
  const frame = new Groups(data).item(0x00209111);
  const pair = (date: number, time: number): [string, string] => [data.text(date) || data.text(0x00080020), data.text(time)];
  const stamp = (text: string): [string, string] => [text.slice(0, 8), text.slice(8)];
  const pairs = [
    stamp(data.text(0x0008002a)), pair(0x00080022, 0x00080032), stamp(frame?.text(0x00189074) ?? ""), pair(0x00080023, 0x00080033),
    pair(0x00080021, 0x00080031),
  ];
  for (const [date, time] of pairs) {
    const seconds = secondsOf(time);
    if (seconds !== undefined) return { day: dayOf(date), seconds };
  }
  return undefined;
}

/** Seconds since the midnight at which the study's first known day began. */
export function since({ day, seconds }: Moment, firstDay: number | undefined): number {
  return day === undefined || firstDay === undefined ? seconds : seconds + (day - firstDay) * SECONDS_A_DAY;
}

function dayOf(text: string): number | undefined {
  const found = /^(\d{4})[.-]?(\d{2})[.-]?(\d{2})/.exec(text);
  if (found === null) return undefined;
  const [year, month, day] = found.slice(1).map(Number) as [number, number, number];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isReal = year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return isReal ? Math.round(date.getTime() / (SECONDS_A_DAY * 1000)) : undefined;
}

function secondsOf(time: string): number | undefined {
  const found = /^(\d{2}):?(\d{2})?:?(\d{2}(?:\.\d+)?)?/.exec(time);
  if (found === null) return undefined;
  const total = Number(found[1]) * 3600 + Number(found[2] ?? 0) * 60 + Number(found[3] ?? 0);
  return total <= SECONDS_A_DAY ? total : undefined;
}

/** The functional groups of a multi-frame object: those of its first frame, else those that all frames share. */
class Groups {
  private readonly sets: readonly DataSet[];

  constructor(data: DataSet) {
    this.sets = [data.first(0x52009230), data.first(0x52009229)].filter((set) => set !== undefined);
  }

  item(group: number): DataSet | undefined {
    return this.sets.map((set) => set.first(group)).find((each) => each !== undefined);
  }

  number(group: number, tag: number): number | undefined {
    return this.item(group)?.number(tag);
  }

  text(group: number, tag: number): string {
    return this.item(group)?.text(tag) ?? "";
  }

  /** Meaning of the anatomic region's code. */
  anatomy(): string {
    return this.item(0x00209071)?.first(0x00082218)?.text(0x00080104) ?? "";
  }
}
