/** The whole page: head, panels, picture, and what is printed. It is built anew when the language changes. */

import { el, fill } from "./dom";
import { type Language, language, LANGUAGES, t, useLanguage } from "./language";
import { NodeClient } from "./node/client";
import { NodePanel } from "./node/node_panel";
import { startOffline } from "./offline/registration";
import { findingsPanel } from "./panels/findings_panel";
import { imagesPanel } from "./panels/images_panel";
import { messages, type Messages } from "./panels/messages";
import { modelPanel, type ModelPanel } from "./panels/model_panel";
import { savePanel } from "./panels/save_panel";
import { type SegmentPanel, segmentPanel } from "./panels/segment_panel";
import { viewPanel } from "./panels/view_panel";
import { dropped } from "./picking";
import { keepLanguage, keepTheme, preferredTheme, type Theme, THEMES } from "./preferences";
import { report } from "./printing";
import { Session } from "./session";
import { Store } from "./state";
import { shownFindings, viewer } from "./viewer/viewer";
import { PageFault, type Told } from "./words";

export class Page {
  readonly #store = new Store();
  readonly #shown = shownFindings();
  readonly #client = new NodeClient();
  readonly #session: Session;
  #messages!: Messages;
  #model!: ModelPanel;
  #segment!: SegmentPanel;
  #node: NodePanel | undefined;
  #told: Told | undefined;
  /** A new version that waits, if one does. */
  #renew: (() => Promise<number>) | undefined;
  /** Whether the page is kept for use without a network. */
  #kept = navigator.serviceWorker?.controller != null;
  readonly #news = el("div", { id: "news", role: "status" });

  constructor(readonly root: HTMLElement) {
    this.#session = new Session(this.#store, {
      fault: (thrown) => this.#messages.fault(thrown),
      clear: () => this.#messages.clear(),
      progress: (progress) => this.#segment.progress(progress),
      cancelled: () => this.#segment.cancelled(),
    });
    this.#listenToDrops();
    this.#listenToLeaving();
    this.build();
    void startOffline({
      kept: () => {
        this.#kept = true;
        this.#messages.say(t("offline.ready"));
        this.#showLocal();
      },
      renewed: (use) => {
        this.#renew = use;
        this.#showNews();
      },
    });
  }

  /** Build everything in the language in use, from what is known. */
  build(): void {
    document.title = `${t("title")}: ${t("subtitle")}`;
    const pinned = this.#model?.pinned() ?? "";
    this.#store.forgetListeners();
    this.#node?.stop();
    const telling = {
      fault: (thrown: unknown) => this.#messages.fault(thrown),
      clear: () => this.#messages.clear(),
      say: (text: string) => this.#messages.say(text),
    };
    this.#messages = messages(this.#told, (told) => (this.#told = told));
    this.#model = modelPanel(this.#session, pinned);
    this.#segment = segmentPanel(this.#session);
    this.#node = new NodePanel(this.#client, telling);
    const printed = report(this.#store, this.#shown);
    const save = savePanel(this.#store, telling.fault, printed.print);
    fill(
      this.root,
      el("a", { class: "skip", href: "#picture-part" }, t("skip")),
      el("header", {}, this.#head(), this.#choices()),
      el("aside", { class: "research", id: "research" }, t("research")),
      el(
        "main", {},
        this.#messages.element,
        this.#news,
        el("p", { id: "local", class: "local" }),
        el(
          "div", { class: "columns" },
          el("div", { class: "steps" }, this.#model.element, imagesPanel(this.#session), this.#segment.element),
          el("div", { "id": "picture-part", "class": "picture-part", "tabindex": -1, "role": "region", "aria-label": t("view.canvas") }, viewer(this.#store, this.#shown)),
          el("div", { class: "results" }, findingsPanel(this.#store, this.#shown), viewPanel(this.#store), save),
        ),
        this.#node.element,
      ),
      printed.element,
      el("div", { "id": "drop", "class": "drop", "hidden": true, "aria-hidden": "true" }, t("drop.here")),
    );
    this.#store.follow(({ busy }) => (this.root.dataset["busy"] = String(busy !== undefined)));
    this.#showNews();
    this.#showLocal();
    void this.#node.start();
  }

  #head(): HTMLElement {
    return el("div", {}, el("h1", {}, t("title")), el("p", { class: "subtitle" }, t("subtitle")));
  }

  #choices(): HTMLElement {
    const languages = el("select", { id: "language" }, ...Object.entries(LANGUAGES).map(([code, name]) => el("option", { value: code, lang: code }, name)));
    languages.value = language();
    languages.addEventListener("change", () => {
      const chosen = languages.value as Language;
      useLanguage(chosen);
      keepLanguage(chosen);
      this.build();
      document.getElementById("language")?.focus();
    });
    const themes = el("select", { id: "theme" }, ...THEMES.map((each) => el("option", { value: each }, t(`theme.${each}`))));
    themes.value = preferredTheme();
    themes.addEventListener("change", () => {
      keepTheme(themes.value as Theme);
      this.#store.set({});
    });
    return el(
      "div", { class: "choices" },
      el("label", { for: "language" }, t("language")), languages,
      el("label", { for: "theme" }, t("theme")), themes,
    );
  }

  #showNews(): void {
    const use = this.#renew;
    fill(
      this.#news,
      !isSecureContext && el("p", { class: "warning" }, t("insecure")),
      use !== undefined && el("p", { class: "buttons" }, t("update.ready"), " ", el("button", { id: "renew", type: "button", click: () => void this.#useNew(use) }, t("update.load"))),
    );
  }

  /** Load the new version, unless something runs here or the page is open elsewhere as well. */
  async #useNew(use: () => Promise<number>): Promise<void> {
    if (this.#store.now.busy !== undefined) return this.#messages.fault(new PageFault("update-busy"));
    const tabs = await use();
    if (tabs > 1) this.#messages.fault(new PageFault("update-tabs", { got: tabs }));
  }

  #showLocal(): void {
    const local = document.getElementById("local");
    if (local !== null) fill(local, this.#kept ? `${t("local")} ${t("offline.ready")}` : t("local"));
  }

  /** Ask before the page is closed or left while it segments. */
  #listenToLeaving(): void {
    addEventListener("beforeunload", (event) => {
      if (this.#store.now.busy === "segmenting") event.preventDefault();
    });
  }

  /** Files may be dropped anywhere on the page. */
  #listenToDrops(): void {
    const shade = (shown: boolean): void => {
      const drop = document.getElementById("drop");
      if (drop !== null) drop.hidden = !shown;
    };
    const holdsFiles = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes("Files") === true;
    document.addEventListener("dragover", (event) => {
      if (!holdsFiles(event)) return; // text, such as a digest, goes where it is dropped
      event.preventDefault();
      shade(true);
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget === null && shade(false));
    document.addEventListener("drop", (event) => {
      shade(false);
      if (event.dataTransfer === null || !holdsFiles(event)) return;
      event.preventDefault();
      if (!this.#session.isFree()) return;
      void dropped(event.dataTransfer)
        .then((found) => (found.length > 0 ? this.#session.open(found, this.#model.pinned()) : undefined))
        .catch((thrown: unknown) => this.#messages.fault(thrown));
    });
  }
}
