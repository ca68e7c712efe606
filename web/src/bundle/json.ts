// JSON from outside, read without trust: sizes are capped, repeated keys are refused, as the runtime's own reader does.
//
// JSON.parse keeps the last of two equal keys, so that two readers of one file may disagree about what it says.
import { Fault, type FaultCode, shown } from "../faults";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

const MAX_DEPTH = 16;
const MAX_NODES = 100_000;
const MAX_TEXT = 16_384;
const MAX_KEY = 128;
/** Beyond it other languages' readers lose digits. */
const MAX_INTEGER = 2 ** 53;
const MAX_DIGITS = 64;
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const BLANK = /[ \t\n\r]*/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/**
 * One JSON object from bytes: UTF-8, unique keys, finite numbers.
 *
 * @throws Fault of the given code: the bytes are something else, or too many.
 * @example parseObject(new TextEncoder().encode('{"area": 3}'), "here", 100, "bundle-schema") // { area: 3 }
 */
export function parseObject(data: Uint8Array, where: string, limit: number, code: FaultCode): JsonObject {
  const wrong = (expected: string, got: unknown): Fault => new Fault(code, { where, expected, got: shown(got) });
  if (data.length > limit) throw wrong(`at most ${limit} bytes`, `${data.length} bytes`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw wrong("UTF-8", "other bytes");
  }
  const value = new Reader(text, wrong).document();
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw wrong("a JSON object", value);
  return value;
}

/** A reader that goes through the text once. */
class Reader {
  private at = 0;
  private nodes = 0;

  constructor(
    private readonly text: string,
    private readonly wrong: (expected: string, got: unknown) => Fault,
  ) {}

  document(): Json {
    const value = this.value(1);
    this.blank();
    if (this.at !== this.text.length) throw this.unexpected("the end");
    return value;
  }

  private value(depth: number): Json {
    this.nodes += 1;
    if (depth > MAX_DEPTH || this.nodes > MAX_NODES) throw this.wrong(`depth ${MAX_DEPTH}, ${MAX_NODES} values`, "more");
    this.blank();
    const first = this.text[this.at];
    if (first === "{") return this.object(depth);
    if (first === "[") return this.list(depth);
    if (first === '"') return this.string(MAX_TEXT);
    for (const [word, value] of [["true", true], ["false", false], ["null", null]] as const) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  private object(depth: number): JsonObject {
    // Without a prototype, so that a key "__proto__" is a key like any other.
    const found = Object.create(null) as JsonObject;
    this.at += 1;
    this.blank();
    if (this.taken("}")) return found;
    do {
      this.blank();
      if (this.text[this.at] !== '"') throw this.unexpected("a key");
      const key = this.string(MAX_KEY);
      if (key in found) throw this.wrong("unique keys", key);
      this.blank();
      if (!this.taken(":")) throw this.unexpected(":");
      found[key] = this.value(depth + 1);
      this.blank();
    } while (this.taken(","));
    if (!this.taken("}")) throw this.unexpected("}");
    return found;
  }

  private list(depth: number): Json[] {
    const found: Json[] = [];
    this.at += 1;
    this.blank();
    if (this.taken("]")) return found;
    do {
      found.push(this.value(depth + 1));
      this.blank();
    } while (this.taken(","));
    if (!this.taken("]")) throw this.unexpected("]");
    return found;
  }

  private string(most: number): string {
    this.at += 1;
    let found = "";
    for (;;) {
      found += this.match(PLAIN);
      const next = this.text[this.at];
      this.at += 1;
      if (next === '"') break;
      if (next !== "\\") throw this.unexpected("the end of a text");
      const escape = this.text[this.at] ?? "";
      this.at += 1;
      if (escape === "u") {
        const digits = this.text.slice(this.at, this.at + 4);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.unexpected("four hexadecimal digits");
        found += String.fromCharCode(Number.parseInt(digits, 16));
        this.at += 4;
      } else {
        const meant = ESCAPES[escape];
        if (meant === undefined) throw this.unexpected("an escape that JSON has");
        found += meant;
      }
    }
    if (found.length > most) throw this.wrong(`texts of at most ${most} characters`, found.length);
    if (UNPRINTABLE.test(found)) throw this.wrong("printable text", found);
    return found;
  }

  private number(): number {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text);
    if (found === null) throw this.unexpected("a value");
    this.at += found[0].length;
    const value = Number(found[0]);
    const whole = found[1] === undefined && found[2] === undefined;
    if (whole && Math.abs(value) > MAX_INTEGER) throw this.wrong("integers up to 2**53", found[0]);
    if (!Number.isFinite(value) || found[0].length > MAX_DIGITS) throw this.wrong("finite numbers", found[0]);
    return value;
  }

  private blank(): void {
    this.match(BLANK);
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  private taken(mark: string): boolean {
    const there = this.text[this.at] === mark;
    if (there) this.at += 1;
    return there;
  }

  private unexpected(expected: string): Fault {
    return this.wrong(`strict JSON, ${expected} at character ${this.at}`, this.text.slice(this.at, this.at + 20));
  }
}
