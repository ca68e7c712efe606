/** The node's answers over HTTP, checked before they are believed. The token is kept in memory and nowhere else. */

import { plain } from "../language";
import { PageFault } from "../words";

export interface Study {
  readonly key: string;
  readonly state: string;
  readonly revision: number;
  readonly images: number;
  readonly received: string;
  readonly error: NodeError | undefined;
}

export interface NodeError {
  readonly what: string;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly remedy: string | undefined;
}

export interface Result {
  readonly revision: number;
  readonly created: string;
  readonly current: boolean;
  readonly deleted: boolean;
  readonly millilitres: number;
  readonly warnings: readonly string[];
  readonly objects: readonly { readonly kind: string; readonly name: string }[];
}

export interface Delivery {
  readonly destination: string;
  readonly name: string;
  readonly state: string;
  readonly attempts: number;
  readonly error: string | undefined;
}

export interface Detail {
  readonly study: Study;
  readonly preview: boolean;
  readonly results: readonly Result[];
  readonly deliveries: readonly Delivery[];
}

export interface Listing {
  readonly studies: readonly Study[];
  readonly after: string | undefined;
}

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** Whether the page was served by a node. */
export type Presence = "none" | "open" | "locked";

const KEY = /^[0-9a-f]{16}$/;
const AT_A_TIME = 50;
const MOST_AT_A_TIME = 1000;

export class NodeClient {
  #token = "";

  /** @param base The folder that the page was loaded from, with a slash at its end. */
  constructor(readonly base: URL = new URL("./", document.baseURI)) {}

  get signedIn(): boolean {
    return this.#token !== "";
  }

  signIn(token: string): void {
    this.#token = token;
  }

  signOut(): void {
    this.#token = "";
  }

  /** Whether a node answers where the page came from; a plain server of files has no such address. */
  async presence(): Promise<Presence> {
    try {
      const response = await fetch(new URL("health", this.base), { ...this.#options("GET"), signal: AbortSignal.timeout(5000) });
      if (response.status === 401) return /^bearer\b/i.test(response.headers.get("www-authenticate") ?? "") ? "locked" : "none";
      const json = response.headers.get("content-type")?.startsWith("application/json") === true;
      return response.ok && json && record(await response.json())["alive"] === true ? "open" : "none";
    } catch {
      return "none"; // no server, no node: the page works without
    }
  }

  async ready(): Promise<Readiness> {
    const response = await this.#fetch("GET", "ready", [503]);
    const found = record(await this.#json(response));
    return { ready: found["ready"] === true, reasons: texts(found["reasons"]) };
  }

  /** @param least How many are wanted at least; the node gives no more than 1,000 at a time. */
  async studies(after?: string, least = 0): Promise<Listing> {
    const limit = String(Math.min(MOST_AT_A_TIME, Math.max(AT_A_TIME, least)));
    const query = new URLSearchParams({ limit, ...(after === undefined ? {} : { after }) });
    const found = record(await this.#json(await this.#fetch("GET", `studies?${query}`)));
    const last = found["after"];
    return { studies: list(found["studies"]).map(study), after: typeof last === "string" ? last : undefined };
  }

  async study(key: string): Promise<Detail> {
    const found = record(await this.#json(await this.#fetch("GET", `studies/${checkedKey(key)}`)));
    return {
      study: study(found["study"]),
      preview: found["preview"] === true,
      results: list(found["results"]).map(result),
      deliveries: list(found["deliveries"]).map(delivery),
    };
  }

  preview(key: string): Promise<Blob> {
    return this.#fetch("GET", `studies/${checkedKey(key)}/preview.png`).then((response) => response.blob());
  }

  file(key: string, name: string): Promise<Blob> {
    const path = name.split("/").map(encodeURIComponent).join("/");
    return this.#fetch("GET", `studies/${checkedKey(key)}/results/${path}`).then((response) => response.blob());
  }

  async rerun(key: string): Promise<Study> {
    return study(await this.#json(await this.#fetch("POST", `studies/${checkedKey(key)}/rerun`)));
  }

  async resend(key: string): Promise<Study> {
    return study(await this.#json(await this.#fetch("POST", `studies/${checkedKey(key)}/resend`)));
  }

  async #fetch(method: "GET" | "POST", path: string, alsoFine: readonly number[] = []): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(new URL(path, this.base), { ...this.#options(method), signal: AbortSignal.timeout(60_000) });
    } catch (error) {
      throw new PageFault("node-unreachable", { got: error instanceof Error ? error.name : undefined });
    }
    if (response.ok || alsoFine.includes(response.status)) return response;
    if (response.status === 401) throw new PageFault("node-token");
    throw new PageFault("node-refused", { got: `HTTP ${response.status}` }, await said(response));
  }

  async #json(response: Response): Promise<unknown> {
    try {
      return await response.json();
    } catch {
      throw new PageFault("node-answer", { got: response.headers.get("content-type") ?? "" });
    }
  }

  #options(method: "GET" | "POST"): RequestInit {
    const headers = this.#token === "" ? {} : { authorization: `Bearer ${this.#token}` };
    return { method, headers, cache: "no-store", credentials: "same-origin", redirect: "error" };
  }
}

/** What the node says of its refusal. */
async function said(response: Response): Promise<string | undefined> {
  try {
    const error = nodeError(record(await response.json())["error"]);
    return error === undefined ? undefined : errorText(error);
  } catch {
    return undefined;
  }
}

/** Longest text of the node that is shown, characters. */
const MOST_SAID = 2000;

export function errorText({ what, expected, got, remedy }: NodeError): string {
  const parts = [what, expected && `expected ${expected}`, got && `got ${got}`, remedy && `remedy: ${remedy}`];
  return plain(parts.filter((part) => part !== undefined && part !== "").join("; "), MOST_SAID);
}

function study(value: unknown): Study {
  const found = record(value);
  return {
    key: checkedKey(text(found["key"])),
    state: text(found["state"]),
    revision: count(found["revision"]),
    images: count(found["images"]),
    received: text(found["received"]),
    error: nodeError(found["error"]),
  };
}

function nodeError(value: unknown): NodeError | undefined {
  if (value === null || value === undefined) return undefined;
  const found = record(value);
  const part = (name: string): string | undefined => (typeof found[name] === "string" ? text(found[name]) : undefined);
  return { what: text(found["what"]), expected: part("expected"), got: part("got"), remedy: part("remedy") };
}

function result(value: unknown): Result {
  const found = record(value);
  return {
    revision: count(found["revision"]),
    created: text(found["created"]),
    current: found["current"] === true,
    deleted: found["deleted"] === true,
    millilitres: count(found["volume_ml"]),
    warnings: texts(found["warnings"]),
    objects: list(found["objects"]).map(record).map((each) => ({ kind: text(each["kind"]), name: fileName(each["name"]) })),
  };
}

/** A file's name below its study's results: it leads nowhere else. */
function fileName(value: unknown): string {
  const name = raw(value);
  if (name.split("/").some((part) => part === "" || part === "." || part === "..")) throw new PageFault("node-answer", { got: name });
  return name;
}

function delivery(value: unknown): Delivery {
  const found = record(value);
  return {
    destination: text(found["destination"]),
    name: text(found["name"]),
    state: text(found["state"]),
    attempts: count(found["attempts"]),
    error: typeof found["error"] === "string" ? text(found["error"]) : undefined,
  };
}

function checkedKey(key: string): string {
  if (!KEY.test(key)) throw new PageFault("node-answer", { got: key.slice(0, 40) });
  return key;
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new PageFault("node-answer", { got: typeof value });
  return value as Record<string, unknown>;
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new PageFault("node-answer", { got: typeof value });
  return value;
}

/** A text as it may be shown. */
function text(value: unknown): string {
  return plain(raw(value), MOST_SAID);
}

function raw(value: unknown): string {
  if (typeof value !== "string") throw new PageFault("node-answer", { got: typeof value });
  return value;
}

function texts(value: unknown): string[] {
  return list(value).map(text);
}

function count(value: unknown): number {
  if (typeof value !== "number") throw new PageFault("node-answer", { got: typeof value });
  return value;
}
