/** A model card, Markdown of unknown origin, as elements: headings, paragraphs, lists, tables, bold and code alone. */

import { el, type Child } from "./dom";

/** Longest card that is shown, characters; those of the export have about 6,000. */
const MOST = 100_000;

/**
 * The card's blocks. Markup that is not known stays text, links show their address, and nothing is loaded.
 *
 * @param top The level of the card's first heading on the page, 2 to 6.
 */
export function cardElements(markdown: string, top: number): HTMLElement[] {
  const lines = markdown.slice(0, MOST).split(/\r?\n/);
  const found: HTMLElement[] = [];
  for (let at = 0; at < lines.length; ) {
    const [element, next] = block(lines, at, top);
    if (element !== undefined) found.push(element);
    at = next;
  }
  return found;
}

type Block = readonly [element: HTMLElement | undefined, next: number];

function block(lines: readonly string[], at: number, top: number): Block {
  const line = lines[at] ?? "";
  if (line.trim() === "") return [undefined, at + 1];
  const heading = /^(#{1,6})\s+(.*)$/.exec(line);
  if (heading) return [headingElement((heading[1] ?? "#").length, heading[2] ?? "", top), at + 1];
  if (/^```/.test(line)) return fenced(lines, at);
  if (/^\s*\|/.test(line)) return table(lines, at);
  if (isItem(line)) return list(lines, at);
  const end = endOf(lines, at, (each) => each.trim() !== "" && !/^(#{1,6}\s|```|\s*\|)/.test(each) && !isItem(each));
  return [el("p", {}, ...inline(lines.slice(at, end).join(" "))), end];
}

function headingElement(level: number, text: string, top: number): HTMLElement {
  const shown = Math.min(6, top + level - 1) as 1 | 2 | 3 | 4 | 5 | 6;
  return el(`h${shown}`, {}, ...inline(text));
}

function fenced(lines: readonly string[], at: number): Block {
  const end = endOf(lines, at + 1, (each) => !/^```/.test(each));
  return [el("pre", { tabindex: 0 }, lines.slice(at + 1, end).join("\n")), end + 1];
}

function table(lines: readonly string[], at: number): Block {
  const end = endOf(lines, at, (each) => /^\s*\|/.test(each));
  const rows = lines.slice(at, end).map(cells);
  const headed = rows.length > 1 && (rows[1] ?? []).every((cell) => /^:?-+:?$/.test(cell));
  const [first = [], ...rest] = rows;
  const body = (headed ? rest.slice(1) : rows).map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, ...inline(cell)))));
  const head = el("tr", {}, ...first.map((cell) => (cell === "" ? el("td") : el("th", { scope: "col" }, ...inline(cell)))));
  const shown = el("table", {}, headed && el("thead", {}, head), el("tbody", {}, ...body));
  return [el("div", { class: "scroll", tabindex: 0 }, shown), end];
}

function cells(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, "")
    .split("|")
    .map((cell) => cell.trim());
}

function list(lines: readonly string[], at: number): Block {
  const end = endOf(lines, at, (each) => isItem(each) || /^\s{2,}\S/.test(each));
  const items: string[] = [];
  for (const line of lines.slice(at, end)) {
    if (isItem(line)) items.push(line.replace(/^\s*(?:[-*+]|\d+\.)\s+/, ""));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  const tag = /^\s*\d/.test(lines[at] ?? "") ? "ol" : "ul";
  return [el(tag, {}, ...items.map((item) => el("li", {}, ...inline(item)))), end];
}

function isItem(line: string): boolean {
  return /^\s*(?:[-*+]|\d{1,3}\.)\s+\S/.test(line);
}

function endOf(lines: readonly string[], from: number, belongs: (line: string) => boolean): number {
  let end = from;
  while (end < lines.length && belongs(lines[end] ?? "")) end += 1;
  return Math.max(end, from);
}

/** Bold and code; all else is text as it stands. */
function inline(text: string): Child[] {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part) => {
    if (/^\*\*[^*]+\*\*$/.test(part)) return el("strong", {}, part.slice(2, -2));
    if (/^`[^`]+`$/.test(part)) return el("code", {}, part.slice(1, -1));
    return part;
  });
}
