/** Language and theme, the only things that the page keeps in the browser between visits. */

import { LANGUAGES, type Language } from "./language";

export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];

const LANGUAGE_KEY = "brainseg.language";
const THEME_KEY = "brainseg.theme";

/** The language chosen before, or the browser's, or English. */
export function preferredLanguage(): Language {
  const wanted = [read(LANGUAGE_KEY), ...navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase())];
  return (wanted.find((each) => each !== null && Object.hasOwn(LANGUAGES, each)) as Language | undefined) ?? "en";
}

export function preferredTheme(): Theme {
  const kept = read(THEME_KEY);
  return THEMES.find((each) => each === kept) ?? "system";
}

export function keepLanguage(chosen: Language): void {
  write(LANGUAGE_KEY, chosen);
}

/** Show a theme and keep the choice. */
export function keepTheme(chosen: Theme): void {
  showTheme(chosen);
  write(THEME_KEY, chosen);
}

/** Show a theme; the style sheet follows the system unless told otherwise. */
export function showTheme(chosen: Theme): void {
  if (chosen === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = chosen;
}

/** Storage may be closed to the page, by settings or in a private window; the page then asks the browser each time. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice then holds until the page is closed.
  }
}
