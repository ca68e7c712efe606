/** Parts that several panels are made of. */

import { el, type Child } from "../dom";

/** A part of the page under a heading of the second level. */
export function section(id: string, heading: string, ...children: readonly Child[]): HTMLElement {
  return el("section", { id, "aria-labelledby": `${id}-heading` }, el("h2", { id: `${id}-heading` }, heading), ...children);
}

/**
 * A button that opens the browser's dialog for files or a folder. The dialog's own element is reached by the button alone.
 *
 * @param may Whether files can be taken now: nobody picks them for nothing.
 */
export function fileButton(id: string, label: string, folder: boolean, may: () => boolean, take: (files: File[]) => void): HTMLElement {
  const input = el("input", {
    "id": `${id}-input`,
    "type": "file",
    "multiple": true,
    "webkitdirectory": folder,
    "hidden": true,
    "tabindex": -1,
    "aria-label": label,
  });
  input.addEventListener("change", () => {
    const found = [...(input.files ?? [])];
    input.value = ""; // so that the same files can be picked again
    if (found.length > 0) take(found);
  });
  return el("span", {}, el("button", { id, type: "button", click: () => may() && input.click() }, label), input);
}

/** A labelled control on a line of its own. */
export function field(label: string, control: HTMLElement, ...after: readonly Child[]): HTMLElement {
  return el("p", { class: "field" }, el("label", { for: control.id }, label), control, ...after);
}

/** A box to tick with its label. */
export function tick(id: string, label: string, change: (ticked: boolean) => void): { row: HTMLElement; box: HTMLInputElement } {
  const box = el("input", { id, type: "checkbox" });
  box.addEventListener("change", () => change(box.checked));
  return { row: el("p", { class: "tick" }, box, el("label", { for: id }, label)), box };
}

/** Names and values. */
export function facts(pairs: readonly (readonly [name: string, value: Child])[]): HTMLElement {
  return el("dl", { class: "facts" }, ...pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** Let a button be pressed or not; a pressed-once button that may not keeps the focus, so that keys do not lose their place. */
export function enable(button: HTMLButtonElement, enabled: boolean): void {
  if (enabled) button.removeAttribute("aria-disabled");
  else button.setAttribute("aria-disabled", "true");
}

export function isEnabled(button: HTMLButtonElement): boolean {
  return button.getAttribute("aria-disabled") !== "true";
}
