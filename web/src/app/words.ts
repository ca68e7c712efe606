/** Faults and warnings in words of the language in use. */

import { Fault, type FaultCode } from "../faults";
import type { Warning } from "../types";
import { filled, language, number, t, type Values } from "./language";
import type { Key } from "./strings/en";
import { faults as faultsDe } from "./strings/faults.de";
import { faults as faultsEn, type PageCode } from "./strings/faults.en";
import { someSlices as someSlicesDe, warnings as warningsDe } from "./strings/warnings.de";
import { someSlices as someSlicesEn, warnings as warningsEn } from "./strings/warnings.en";

/** A fault as the page shows it. */
export interface Told {
  readonly code: FaultCode | PageCode;
  readonly values: Values;
  /** A text of another program, in English as it came. */
  readonly said?: string;
}

/** A fault in words; a part that nothing is known of is undefined. */
export interface Spoken {
  readonly what: string;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly remedy: string;
}

const FAULTS = { en: faultsEn, de: faultsDe };
const WARNINGS = { en: warningsEn, de: warningsDe };
const SOME_SLICES = { en: someSlicesEn, de: someSlicesDe };

/** Sequences by the names that faults and warnings use. */
const SEQUENCES: Readonly<Record<string, Key>> = {
  "pre": "view.channel.pre",
  "flair": "view.channel.flair",
  "post": "view.channel.post",
  "pre-contrast": "view.channel.pre",
  "FLAIR": "view.channel.flair",
  "post-contrast": "view.channel.post",
};

/** A fault of the page itself. */
export class PageFault extends Error {
  override readonly name = "PageFault";

  constructor(
    readonly code: PageCode,
    readonly values: Values = {},
    readonly said?: string,
  ) {
    super(code);
  }
}

/** What is told of anything that was thrown. */
export function toldOf(thrown: unknown): Told {
  if (thrown instanceof Fault) return { code: thrown.code, values: thrown.values };
  if (thrown instanceof PageFault) {
    const { code, values, said } = thrown;
    return said === undefined ? { code, values } : { code, values, said };
  }
  const got = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return { code: "unforeseen", values: { got: got.slice(0, 200) } };
}

export function spoken(told: Told): Spoken {
  const words = FAULTS[language()][told.code];
  const values = readable(told.values);
  const part = (text: string | undefined, value: unknown): string | undefined =>
    text === undefined ? (value === undefined ? undefined : filled("{value}", { value })) : filled(text, values);
  return {
    what: filled(words.what, values),
    expected: part(words.expected, values["expected"]),
    got: part(words.got, values["got"]),
    remedy: filled(words.remedy, told.values),
  };
}

export function warningText(warning: Warning): string {
  const values = readable(warning.values);
  const text = filled(WARNINGS[language()][warning.code], values);
  const { slices, of } = warning.values;
  return slices === undefined || of === undefined || slices === of
    ? text
    : `${text} ${filled(SOME_SLICES[language()], values)}`;
}

/** An area or a volume, in mm where the images have a spacing. */
export function volumeText(millilitres: number | undefined, voxels: number): string {
  return millilitres === undefined
    ? t("unit.pixels", { value: number(voxels) })
    : t("unit.ml", { value: number(millilitres, millilitres < 10 ? 2 : 1) });
}

export function areaText(pixels: number, spacing: { readonly row: number; readonly column: number } | undefined): string {
  return spacing === undefined
    ? t("unit.pixels", { value: number(pixels) })
    : t("unit.cm2", { value: number((pixels * spacing.row * spacing.column) / 100, 2) });
}

/** Values with the sequences' names in place of their short ones. */
function readable(values: Values): Values {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const key = typeof value === "string" && Object.hasOwn(SEQUENCES, value) ? SEQUENCES[value] : undefined;
      return [name, key === undefined ? value : t(key)];
    }),
  );
}
