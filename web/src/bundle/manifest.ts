// What a bundle says about itself: manifest.json, read as strictly as the runtime reads it.
import { Fault, shown } from "../faults";
import { type Json, type JsonObject, parseObject } from "./json";
import { LIMITS } from "./limits";

export const SCHEMA = "brainseg/bundle/1";
export const MANIFEST_NAME = "manifest.json";
export const SIGNATURE_NAME = "model.sig";
/** The channels of an image, in order. */
export const CHANNELS = ["pre-contrast", "FLAIR", "post-contrast"] as const;

export interface FileEntry {
  readonly sha256: string;
  readonly bytes: number;
}
/** How far an answer to a golden case may lie from the expected one; both in [0, 1]. */
export interface Tolerance {
  readonly probability: number;
  readonly mask: number;
}
export interface Variant {
  readonly file: string;
  readonly precision: string;
  readonly parity: JsonObject;
  readonly accuracy: JsonObject;
  readonly same_bits: Readonly<Record<string, boolean>>;
  readonly tolerances: Readonly<Record<string, Tolerance>>;
}
/** Ranges of a channel's mean and 99th percentile over the training slices, grey levels 0 to 255. */
export interface ChannelRange {
  readonly low: number;
  readonly high: number;
  readonly peak_low: number;
  readonly peak_high: number;
}
export interface Fingerprint {
  readonly slices: number;
  readonly channels: Readonly<Record<string, ChannelRange>>;
}
export interface Manifest {
  readonly schema: string;
  readonly name: string;
  readonly version: string;
  readonly files: ReadonlyMap<string, FileEntry>;
  /** Batches and sides that the model is tested for. */
  readonly limits: { readonly max_batch: number; readonly min_side: number; readonly max_side: number };
  readonly threshold: number;
  readonly temperature: number;
  readonly variants: ReadonlyMap<string, Variant>;
  readonly golden: string | null;
  readonly fingerprint: Fingerprint | null;
  readonly training: JsonObject;
  readonly licence: { readonly id: string; readonly note: string };
  readonly tools: Readonly<Record<string, string>>;
}

const SHA256 = /^[0-9a-f]{64}$/;
const LABEL = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/;
// No folders, no leading or trailing dot, no name that Windows gives to a device.
const FILE_NAME = /^(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/i;
const TENSORS = {
  input: { name: "image", dtype: "uint8", shape: ["N", "H", "W", "3"] },
  outputs: [
    { name: "mask", dtype: "uint8", shape: ["N", "H", "W"] },
    { name: "probability", dtype: "float32", shape: ["N", "H", "W"] },
  ],
};

/**
 * Read manifest.json.
 *
 * @throws Fault "bundle-schema": not strict JSON, another schema, a key missing or unknown, or a contradiction.
 */
export function readManifest(data: Uint8Array): Manifest {
  const value = parseObject(data, MANIFEST_NAME, LIMITS.manifestBytes, "bundle-schema");
  if ("schema" in value && value["schema"] !== SCHEMA) throw wrong(`${MANIFEST_NAME}.schema`, SCHEMA, value["schema"]);
  const at = fields(value, MANIFEST_NAME, [
    "schema", "name", "version", "files", "contract", "threshold", "temperature", "variants", "golden", "fingerprint",
    "training", "licence", "tools",
  ]);
  const manifest: Manifest = {
    schema: SCHEMA,
    name: at("name", label),
    version: at("version", label),
    files: at("files", (each, where) => mapped(each, where, fileName, fileEntry)),
    limits: at("contract", contract),
    threshold: at("threshold", between(0, 1)),
    temperature: at("temperature", between(1e-3, 1e3)),
    variants: at("variants", (each, where) => mapped(each, where, label, variant)),
    golden: at("golden", (each, where) => (each === null ? null : text(each, where))),
    fingerprint: at("fingerprint", (each, where) => (each === null ? null : fingerprint(each, where))),
    training: at("training", object),
    licence: at("licence", licence),
    tools: at("tools", (each, where) => Object.fromEntries(mapped(each, where, text, text))),
  };
  checkWhole(manifest);
  return manifest;
}

/** The tolerance for a provider, else the default one, else none. */
export function toleranceOf(variant: Variant, provider: string): Tolerance | undefined {
  return own(variant.tolerances, provider) ?? own(variant.tolerances, "default");
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Refuse what contradicts itself. */
function checkWhole(manifest: Manifest): void {
  const names = [...manifest.files.keys()];
  const folded = new Set(names.map((name) => name.toLowerCase()));
  if (folded.size !== names.length) throw wrong("files", "names that differ by more than case", names);
  if (folded.has(MANIFEST_NAME) || folded.has(SIGNATURE_NAME)) {
    throw wrong("files", `neither ${MANIFEST_NAME} nor ${SIGNATURE_NAME}`, names);
  }
  if (manifest.variants.size === 0) throw wrong("variants", "at least one", "none");
  for (const [name, each] of manifest.variants) {
    if (!manifest.files.has(each.file)) throw wrong(`variants.${name}.file`, "a file that is listed", each.file);
  }
  if (manifest.golden !== null && !manifest.files.has(manifest.golden)) {
    throw wrong("golden", "a file that is listed, or null", manifest.golden);
  }
}

type Check<T> = (value: Json, where: string) => T;

function wrong(where: string, expected: string, got: unknown): Fault {
  return new Fault("bundle-schema", { where, expected, got: shown(got) });
}

function object(value: Json, where: string): JsonObject {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw wrong(where, "an object", value);
  return value;
}

/** An object with exactly these keys; the function returned reads one of them. */
function fields(value: Json, where: string, keys: readonly string[]): <T>(key: string, check: Check<T>) => T {
  const found = object(value, where);
  const unknown = Object.keys(found).filter((key) => !keys.includes(key));
  if (unknown.length > 0) throw wrong(where, `only ${keys.join(", ")}`, unknown.join(", "));
  const missing = keys.filter((key) => !(key in found));
  if (missing.length > 0) throw wrong(where, missing.join(", "), `only ${Object.keys(found).join(", ")}`);
  return (key, check) => check(found[key] as Json, `${where}.${key}`);
}

function mapped<T>(value: Json, where: string, ofKey: Check<string>, ofItem: Check<T>): Map<string, T> {
  const items = Object.entries(object(value, where));
  return new Map(items.map(([key, item]) => [ofKey(key, `${where}: a key`), ofItem(item, `${where}.${key}`)]));
}

function text(value: Json, where: string): string {
  if (typeof value !== "string") throw wrong(where, "text", value);
  return value;
}

function flag(value: Json, where: string): boolean {
  if (typeof value !== "boolean") throw wrong(where, "true or false", value);
  return value;
}

function matching(pattern: RegExp, meaning: string): Check<string> {
  return (value, where) => {
    if (typeof value !== "string" || !pattern.test(value)) throw wrong(where, meaning, value);
    return value;
  };
}

const label = matching(LABEL, "1 to 64 letters, digits and . _ + -, the first a letter or digit");
const fileName = matching(FILE_NAME, "1 to 64 letters, digits and . _ -, neither end a sign, not a device of Windows");
const sha256 = matching(SHA256, "64 lower-case hexadecimal digits");

function between(low: number, high: number): Check<number> {
  return (value, where) => {
    if (typeof value !== "number" || !(value >= low && value <= high)) throw wrong(where, `${low} to ${high}`, value);
    return value;
  };
}

function whole(low: number, high: number): Check<number> {
  return (value, where) => {
    const found = between(low, high)(value, where);
    if (!Number.isInteger(found)) throw wrong(where, "an integer", value);
    return found;
  };
}

function fileEntry(value: Json, where: string): FileEntry {
  const at = fields(value, where, ["sha256", "bytes"]);
  return { sha256: at("sha256", sha256), bytes: at("bytes", whole(0, 2 ** 53)) };
}

function contract(value: Json, where: string): Manifest["limits"] {
  const at = fields(value, where, ["input", "outputs", "limits"]);
  for (const key of ["input", "outputs"] as const) {
    at(key, (each, here) => {
      if (!same(each, TENSORS[key])) throw wrong(here, `the tensors of ${SCHEMA}`, each);
    });
  }
  return at("limits", (each, here) => {
    const one = fields(each, here, ["max_batch", "min_side", "max_side"]);
    const limits = {
      max_batch: one("max_batch", whole(1, 64)),
      min_side: one("min_side", whole(16, 2048)),
      max_side: one("max_side", whole(16, 2048)),
    };
    if (limits.min_side > limits.max_side) throw wrong(here, "min_side <= max_side", limits);
    return limits;
  });
}

/** Whether two JSON values are equal; the order of keys does not count. */
function same(one: Json, other: Json): boolean {
  if (one === null || other === null || typeof one !== "object" || typeof other !== "object") return one === other;
  if (Array.isArray(one) || Array.isArray(other)) {
    return Array.isArray(one) && Array.isArray(other) && one.length === other.length
      && one.every((each, index) => same(each, other[index] as Json));
  }
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length
    && keys.every((key) => key in other && same(one[key] as Json, other[key] as Json));
}

function variant(value: Json, where: string): Variant {
  const at = fields(value, where, ["file", "precision", "parity", "accuracy", "same_bits", "tolerances"]);
  const tolerance = (each: Json, here: string): Tolerance => {
    const one = fields(each, here, ["probability", "mask"]);
    return { probability: one("probability", between(0, 1)), mask: one("mask", between(0, 1)) };
  };
  return {
    file: at("file", fileName),
    precision: at("precision", label),
    parity: at("parity", object),
    accuracy: at("accuracy", object),
    same_bits: at("same_bits", (each, here) => Object.fromEntries(mapped(each, here, text, flag))),
    tolerances: at("tolerances", (each, here) => Object.fromEntries(mapped(each, here, text, tolerance))),
  };
}

function fingerprint(value: Json, where: string): Fingerprint {
  const at = fields(value, where, ["slices", "channels"]);
  const channels = at("channels", (each, here) => mapped(each, here, text, channelRange));
  if (channels.size !== CHANNELS.length || !CHANNELS.every((name) => channels.has(name))) {
    throw wrong(`${where}.channels`, CHANNELS.join(", "), [...channels.keys()].join(", "));
  }
  return { slices: at("slices", whole(1, 2 ** 53)), channels: Object.fromEntries(channels) };
}

function channelRange(value: Json, where: string): ChannelRange {
  const at = fields(value, where, ["low", "high", "peak_low", "peak_high"]);
  const level = between(0, 255);
  const range = {
    low: at("low", level), high: at("high", level), peak_low: at("peak_low", level), peak_high: at("peak_high", level),
  };
  if (range.low > range.high || range.peak_low > range.peak_high) {
    throw wrong(where, "low <= high and peak_low <= peak_high", range);
  }
  return range;
}

function licence(value: Json, where: string): Manifest["licence"] {
  const at = fields(value, where, ["id", "note"]);
  return { id: at("id", text), note: at("note", text) };
}
