/** The language in use: words with their values filled in, numbers, dates and sizes as it writes them. */

import { de } from "./strings/de";
import { en, type Key, type Words } from "./strings/en";

export type Language = "en" | "de";
export type Values = Readonly<Record<string, unknown>>;

export const LANGUAGES: Readonly<Record<Language, string>> = { en: "English", de: "Deutsch" };

const WORDS: Readonly<Record<Language, Words>> = { en, de };
let current: Language = "en";

export function language(): Language {
  return current;
}

/** Use a language from now on; what is already shown is built anew by the caller. */
export function useLanguage(chosen: Language): void {
  current = chosen;
  document.documentElement.lang = chosen;
}

/** Words in the language in use. */
export function t(key: Key, values: Values = {}): string {
  return filled(WORDS[current][key], values);
}

/** A text with each {name} replaced by its value and each {name%} by its value in percent, as the language writes numbers. */
export function filled(text: string, values: Values): string {
  return text.replace(/\{(\w+)(%?)\}/g, (_, name: string, percent: string) => {
    const value = values[name];
    return percent !== "" && typeof value === "number" ? `${number(value * 100, 1, 0)}\u00a0%` : written(value);
  });
}

/** A number with at most so many digits after the point. */
export function number(value: number, digits = 0, least = digits): string {
  return numberFormat(digits, least).format(value);
}

/** A small number in scientific notation, such as 3.1E-6. */
export function scientific(value: number): string {
  if (value === 0) return "0";
  return new Intl.NumberFormat(current, { notation: "scientific", maximumFractionDigits: 1 }).format(value);
}

/** A date with its time; a dash for none. */
export function dateTime(when: Date): string {
  if (Number.isNaN(when.getTime())) return "–";
  return dateFormat().format(when);
}

/** A format is dear to make, and a list of a thousand studies needs three thousand: each is made once. */
const numberFormat = once((digits: number, least: number) =>
  new Intl.NumberFormat(current, { maximumFractionDigits: digits, minimumFractionDigits: least }));
const dateFormat = once(() => new Intl.DateTimeFormat(current, { dateStyle: "medium", timeStyle: "short" }));

/** A function whose answer is kept for each language and each of its numbers. */
function once<Numbers extends readonly number[], Made>(make: (...numbers: Numbers) => Made): (...numbers: Numbers) => Made {
  const made = new Map<string, Made>();
  return (...numbers) => {
    const key = [current, ...numbers].join(" ");
    const found = made.get(key) ?? make(...numbers);
    made.set(key, found);
    return found;
  };
}

export function timeOfDay(when: Date): string {
  return new Intl.DateTimeFormat(current, { timeStyle: "medium" }).format(when);
}

/** Bytes as KB or MB. */
export function size(bytes: number): string {
  return bytes < 1e6 ? `${number(bytes / 1e3, 1)} KB` : `${number(bytes / 1e6, 1)} MB`;
}

/** Longest text of elsewhere within the page's own words, characters: a name, a description, a path. */
const MOST = 300;
/** Control characters and marks that turn the direction of what stands around them: a file's name may hold them. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** A text of elsewhere as it can stand among the page's own words: nothing unseen, and not endless. */
export function plain(text: string, most = MOST): string {
  const clean = text.slice(0, most + 1).replace(UNSEEN, " ");
  return clean.length > most ? `${clean.slice(0, most)}…` : clean;
}

function written(value: unknown): string {
  if (typeof value === "number") return new Intl.NumberFormat(current, { maximumFractionDigits: 2 }).format(value);
  if (Array.isArray(value)) return value.map(written).join(", ");
  return value === undefined || value === null ? "–" : plain(String(value));
}
