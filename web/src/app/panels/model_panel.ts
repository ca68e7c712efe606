/** The model: opened and verified, described by its card, tested against its reference cases. */

import { cardElements } from "../card";
import { el, fill } from "../dom";
import { number, plain, scientific, t } from "../language";
import type { SelfTest, Session } from "../session";
import type { State } from "../state";
import type { Key } from "../strings/en";
import { enable, facts, field, fileButton, isEnabled, section } from "./parts";

const VARIANTS: Readonly<Record<string, Key>> = { fp32: "bundle.variant.fp32", int8: "bundle.variant.int8" };

/** The panel, and the digest that is asked for at the moment. */
export interface ModelPanel {
  readonly element: HTMLElement;
  pinned(): string;
}

export function modelPanel(session: Session, pinned: string): ModelPanel {
  const pin = el("input", {
    "id": "pin", "type": "text", "autocomplete": "off", "spellcheck": "false", "maxlength": 80, "value": pinned,
    "aria-describedby": "pin-help",
  });
  const status = el("div", { id: "model-status", role: "status" });
  const variants = el("select", { id: "variant" });
  variants.addEventListener("change", () => void session.useVariant(variants.value));
  const choice = field(t("bundle.variant"), variants);
  const details = el("details", { id: "card" });
  const tested = el("p", { id: "selftest-result", role: "status" });
  const test = el("button", { id: "selftest", type: "button", "aria-describedby": "selftest-help" }, t("bundle.selftest"));
  test.addEventListener("click", () => void runSelfTest(session, test, tested));
  const testing = el(
    "div", {}, el("p", { class: "buttons" }, test), el("p", { id: "selftest-help", class: "help" }, t("bundle.selftest.help")), tested,
  );
  const open = (folder: boolean): HTMLElement =>
    fileButton(
      folder ? "open-bundle" : "open-bundle-files", t(folder ? "bundle.folder" : "bundle.files"), folder,
      () => session.isFree(), (found) => void session.openBundle(found, pin.value),
    );
  const element = section(
    "model", t("bundle.heading"),
    el("p", { class: "buttons" }, open(true), open(false)),
    el("p", { class: "help" }, t("bundle.help")),
    field(t("bundle.pin"), pin, el("span", { id: "pin-help", class: "help" }, t("bundle.pin.help"))),
    status, choice, details, testing,
  );
  session.store.follow((state, before) => {
    fill(status, ...statusOf(state, pin.value));
    variants.disabled = state.busy !== undefined;
    enable(test, state.busy === undefined);
    const { bundle } = state;
    choice.hidden = (bundle?.manifest.variants.size ?? 0) < 2;
    details.hidden = bundle === undefined;
    testing.hidden = bundle === undefined || bundle.manifest.golden === null;
    if (bundle !== before.bundle || state.variant !== before.variant) {
      tested.className = "";
      fill(tested);
    }
    if (bundle !== undefined && (bundle !== before.bundle || details.childElementCount === 0)) {
      const cards = bundle.card === "" ? [el("p", {}, t("bundle.card.none"))] : cardElements(bundle.card, 3);
      fill(details, el("summary", {}, t("bundle.card")), el("div", { class: "card" }, ...cards));
      const names = [...bundle.manifest.variants.keys()];
      fill(variants, ...names.map((name) => el("option", { value: name }, variantText(name))));
    }
    variants.value = state.variant;
  });
  return { element, pinned: () => pin.value };
}

export function variantText(name: string): string {
  const key = Object.hasOwn(VARIANTS, name) ? VARIANTS[name] : undefined;
  return key === undefined ? name : `${name}, ${t(key)}`;
}

function statusOf(state: State, pinned: string): HTMLElement[] {
  const { bundle } = state;
  if (bundle === undefined) return [el("p", {}, t(state.busy === "bundle" ? "bundle.checking" : "bundle.none"))];
  const { manifest } = bundle;
  const said = t("bundle.open", { name: manifest.name, version: manifest.version, variant: variantText(state.variant) });
  return [
    el("p", { class: "good" }, pinned.trim() === "" ? said : `${said} ${t("bundle.pinned")}`),
    facts([
      [t("bundle.digest"), el("code", { id: "digest", class: "digest" }, bundle.digest)],
      [t("bundle.threshold"), number(manifest.threshold, 2)],
      [t("bundle.licence"), plain(manifest.licence.id)],
    ]),
  ];
}

async function runSelfTest(session: Session, button: HTMLButtonElement, tested: HTMLElement): Promise<void> {
  if (!isEnabled(button)) return;
  tested.className = "";
  fill(tested, t("bundle.selftest.running"));
  const found = await session.selfTest();
  fill(tested, found === undefined ? "" : selfTestText(found));
  tested.className = found === undefined ? "" : found.passed ? "good" : "bad";
}

function selfTestText(found: SelfTest): string {
  return t(found.passed ? "bundle.selftest.passed" : "bundle.selftest.failed", {
    cases: found.cases,
    delta: scientific(found.difference),
    tolerance: scientific(found.tolerance),
    pixels: found.maskDifferences,
  });
}
