/** The node's studies: listed, looked at, segmented again. Shown where a node serves the page. */

import { el, fill } from "../dom";
import { dateTime, number, t, timeOfDay } from "../language";
import { download } from "../panels/save_panel";
import { field, section } from "../panels/parts";
import { type Detail, errorText, type Listing, NodeClient, type Result, type Study } from "./client";
import { en, type Key } from "../strings/en";

/** How often the list is asked for anew while it is seen, ms. */
const EVERY = 15_000;

export interface NodeTelling {
  fault(thrown: unknown): void;
  clear(): void;
  say(text: string): void;
}

/** The studies part of the page; it stays empty where no node answers. */
export class NodePanel {
  readonly element = el("div", { id: "node" });
  readonly #list = el("div", { id: "node-list" });
  readonly #detail = el("div", { id: "node-detail" });
  readonly #said = el("p", { id: "node-said", role: "status" });
  readonly #readiness = el("p", { id: "node-ready" });
  #studies: Study[] = [];
  #after: string | undefined;
  #timer: number | undefined;
  #pictures: string | undefined;
  /** Whether the last unasked refresh failed, which is told once. */
  #failing = false;
  /** Counts what was asked for, so that a late answer does not take the place of a newer one. */
  #asked = 0;
  /** Whether a refresh is on its way. */
  #refreshing = false;
  #opening = 0;

  constructor(
    readonly client: NodeClient,
    readonly telling: NodeTelling,
  ) {}

  /** Look for a node, and show its studies or ask for its token. */
  async start(): Promise<void> {
    const presence = await this.client.presence();
    if (presence === "none") return;
    if (presence === "locked") this.#showSignIn();
    else await this.#showStudies();
  }

  /** End the asking; the panel is about to be built anew. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Nothing of what the node said stays on the page for the next who signs in. */
  #showSignIn(): void {
    this.stop();
    this.#asked += 1;
    this.#opening += 1;
    this.#studies = [];
    this.#after = undefined;
    this.#showPicture(undefined);
    for (const part of [this.#list, this.#detail, this.#said, this.#readiness]) fill(part);
    const token = el("input", { "id": "token", "type": "password", "autocomplete": "off", "spellcheck": "false", "aria-describedby": "token-help" });
    const form = el(
      "form", {},
      field(t("node.token"), token, el("span", { id: "token-help", class: "help" }, t("node.token.help"))),
      el("p", { class: "buttons" }, el("button", { id: "sign-in", type: "submit" }, t("node.token.use"))),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.client.signIn(token.value.trim());
      token.value = "";
      void this.#showStudies();
    });
    fill(this.element, section("studies", t("node.heading"), el("p", { class: "help" }, t("node.help")), form));
  }

  async #showStudies(): Promise<void> {
    const refresh = el("button", { id: "node-refresh", type: "button", click: () => void this.#refresh(true) }, t("node.refresh"));
    const out = el("button", { id: "sign-out", type: "button" }, t("node.token.forget"));
    out.addEventListener("click", () => {
      this.client.signOut();
      this.#showSignIn();
    });
    fill(this.#said, t("node.loading"));
    const found = section(
      "studies", t("node.heading"),
      el("p", { class: "help" }, t("node.help")),
      this.#readiness,
      el("p", { class: "buttons" }, refresh, this.client.signedIn && out),
      this.#said, this.#list, this.#detail,
    );
    fill(this.element, found);
    const asked = this.#asked;
    // A node that is away for a while is asked again; one that wants a token, or was left, is not.
    await this.#refresh(true);
    if (asked !== this.#asked) return;
    this.stop();
    this.#timer = window.setInterval(() => {
      if (document.visibilityState === "visible" && this.element.isConnected) void this.#refresh(false);
    }, EVERY);
  }

  /** Ask for the list anew; whether that went well. Nobody is told of it in words unless they asked. */
  async #refresh(asked: boolean): Promise<boolean> {
    if (this.#refreshing && !asked) return true;
    this.#refreshing = true;
    const turn = this.#asked;
    const fine = await this.#try(async () => {
      const ready = await this.client.ready();
      const { studies, after }: Listing = await this.client.studies(undefined, this.#studies.length);
      if (turn !== this.#asked) return; // signed out in the meantime
      fill(this.#readiness, t(ready.ready ? "node.ready" : "node.notready", { reasons: ready.reasons.join(", ") }));
      this.#studies = [...studies];
      this.#after = after;
      this.#showList();
      if (asked || this.#failing) this.#tellCount();
    }, turn, asked || !this.#failing);
    this.#refreshing = false;
    this.#failing = !fine;
    return fine;
  }

  async #more(): Promise<void> {
    await this.#try(async () => {
      const from = this.#after;
      // As many again as are shown: a thousand are five presses away.
      const { studies, after } = await this.client.studies(from, this.#studies.length);
      if (from === undefined || from !== this.#after) return; // pressed twice, or listed anew
      this.#studies.push(...studies);
      this.#after = after;
      this.#showList();
      this.#tellCount();
    });
  }

  #tellCount(): void {
    const count = this.#studies.length;
    const words: Key = count === 0 ? "node.empty" : count === 1 ? "node.listed.one" : "node.listed";
    fill(this.#said, t(words, { count, time: timeOfDay(new Date()) }));
  }

  #showList(): void {
    const focused = document.activeElement?.id;
    const columns = (["node.key", "node.state", "node.received", "node.images", "node.revision"] as const).map((key) =>
      el("th", { scope: "col", class: key === "node.images" || key === "node.revision" ? "number" : undefined }, t(key)),
    );
    const rows = this.#studies.map((study) => this.#row(study));
    const more = el("button", { id: "node-more", type: "button", click: () => void this.#more() }, t("node.more"));
    const table = el("table", {}, el("thead", {}, el("tr", {}, ...columns)), el("tbody", {}, ...rows));
    fill(
      this.#list,
      rows.length > 0 && el("div", { "class": "scroll", "tabindex": 0, "role": "group", "aria-label": t("node.heading") }, table),
      this.#after !== undefined && el("p", { class: "buttons" }, more),
    );
    if (focused !== undefined && focused !== "") document.getElementById(focused)?.focus();
  }

  #row(study: Study): HTMLElement {
    const open = el("button", { id: `study-${study.key}`, type: "button", class: "link", click: () => void this.open(study.key) }, study.key);
    return el(
      "tr", {},
      el("td", {}, open),
      el("td", {}, el("span", { class: `state state-${study.state}` }, stateText(study.state))),
      el("td", {}, dateTime(new Date(study.received))),
      el("td", { class: "number" }, number(study.images)),
      el("td", { class: "number" }, number(study.revision)),
    );
  }

  /** Show one study. */
  async open(key: string): Promise<void> {
    const turn = (this.#opening += 1);
    await this.#try(async () => {
      const detail = await this.client.study(key);
      const picture = detail.preview ? await this.client.preview(key) : undefined;
      if (turn !== this.#opening) return; // another was opened since
      this.#showDetail(detail, picture);
      document.getElementById("node-detail-heading")?.focus();
    });
  }

  #showDetail(detail: Detail, picture: Blob | undefined): void {
    const { study } = detail;
    const { key } = study;
    this.#showPicture(picture);
    const close = (): void => {
      fill(this.#detail);
      this.#showPicture(undefined);
      document.getElementById(`study-${key}`)?.focus();
    };
    const again = (): Promise<boolean> => this.#change(key, () => this.client.rerun(key), "node.rerun.done");
    const resend = (): Promise<boolean> => this.#change(key, () => this.client.resend(key), "node.resend.done");
    fill(
      this.#detail,
      el("h3", { id: "node-detail-heading", tabindex: -1 }, t("node.detail", { key })),
      el("p", {}, stateText(study.state)),
      study.error !== undefined && el("p", { class: "warning", lang: "en" }, errorText(study.error)),
      el(
        "p", { class: "buttons" },
        el("button", { id: "node-rerun", type: "button", click: () => void again() }, t("node.rerun")),
        el("button", { id: "node-resend", type: "button", click: () => void resend() }, t("node.resend")),
        el("button", { id: "node-close", type: "button", click: close }, t("node.close")),
      ),
      this.#pictures === undefined
        ? el("p", {}, t("node.nopreview"))
        : el("img", { id: "node-preview", src: this.#pictures, alt: t("node.preview", { key }) }),
      el("h4", {}, t("node.results")),
      ...detail.results.map((result) => this.#result(key, result)),
      el("h4", {}, t("node.deliveries")),
      deliveries(detail),
    );
  }

  #showPicture(picture: Blob | undefined): void {
    if (this.#pictures !== undefined) URL.revokeObjectURL(this.#pictures);
    this.#pictures = picture && URL.createObjectURL(picture);
  }

  #result(key: string, result: Result): HTMLElement {
    const volume = t("unit.ml", { value: number(result.millilitres, result.millilitres < 10 ? 2 : 1) });
    const get = (name: string): Promise<boolean> =>
      this.#try(async () => download(await this.client.file(key, name), name.replaceAll("/", "_")));
    const files = result.objects.map(({ kind, name }) =>
      el("li", {}, el("button", { type: "button", class: "link", click: () => void get(name) }, t("node.file", { kind: kind.toUpperCase(), name }))),
    );
    const there = result.current && !result.deleted;
    return el(
      "div", { class: "result" },
      el("p", {}, t("node.result", { revision: result.revision, created: dateTime(new Date(result.created)), volume })),
      !result.current && el("p", { class: "help" }, t("node.result.replaced")),
      result.deleted && el("p", { class: "help" }, t("node.result.deleted")),
      result.warnings.length > 0 &&
        el("ul", { class: "warnings", lang: "en" }, ...result.warnings.map((each) => el("li", { class: "warning" }, each))),
      there && el("p", { class: "help" }, t("node.file.holds")),
      there && el("ul", {}, ...files),
    );
  }

  async #change(key: string, change: () => Promise<Study>, words: Key): Promise<boolean> {
    const turn = (this.#opening += 1);
    return this.#try(async () => {
      const { revision } = await change();
      const detail = await this.client.study(key);
      const picture = detail.preview ? await this.client.preview(key) : undefined;
      if (turn !== this.#opening) return;
      this.#showDetail(detail, picture);
      document.getElementById("node-detail-heading")?.focus();
      await this.#refresh(false);
      fill(this.#said, t(words, { key, revision }));
    });
  }

  /** Do something with the node; a fault is told, and a token that it does not take is asked for again. */
  async #try(work: () => Promise<void>, turn = this.#asked, tell = true): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      if (turn !== this.#asked) return false; // of a session that was ended
      if (tell) this.telling.fault(thrown);
      fill(this.#said);
      if (thrown instanceof Error && "code" in thrown && thrown.code === "node-token") {
        this.client.signOut();
        this.#showSignIn();
      }
      return false;
    }
  }
}

function deliveries({ deliveries }: Detail): HTMLElement {
  if (deliveries.length === 0) return el("p", {}, t("node.nodeliveries"));
  const head = (["node.destination", "node.file.column", "node.state", "node.attempts"] as const).map((key) =>
    el("th", { scope: "col", class: key === "node.attempts" ? "number" : undefined }, t(key)),
  );
  const rows = deliveries.map((each) =>
    el(
      "tr", {},
      el("td", {}, each.destination),
      el("td", {}, each.name),
      el("td", {}, stateText(each.state), each.error !== undefined && el("span", { lang: "en" }, ` (${each.error})`)),
      el("td", { class: "number" }, number(each.attempts)),
    ),
  );
  return el(
    "div", { "class": "scroll", "tabindex": 0, "role": "group", "aria-label": t("node.deliveries") },
    el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)),
  );
}

/** A state in words; one that this page does not know, as the node calls it. */
function stateText(state: string): string {
  const key = `state.${state}`;
  return key in en ? t(key as Key) : state;
}
