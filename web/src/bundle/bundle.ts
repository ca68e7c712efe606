// A bundle's files, read once: every byte used later has been hashed against the manifest.
//
// The manifest is read first, and its SHA-256 is the bundle's digest, compared with the pinned one before anything is
// parsed. What runs are the bytes that were hashed.
import { Fault, shown } from "../faults";
import { isLitter } from "../images/litter";
import type { Loaded } from "../types";
import { LIMITS } from "./limits";
import { MANIFEST_NAME, type Manifest, readManifest, SIGNATURE_NAME } from "./manifest";

const DIGEST = /^(?:sha256:)?([0-9a-fA-F]{64})$/;

/**
 * Read and verify a bundle: every listed file, and no other file but the signature.
 *
 * @param files The files of the bundle's folder, or of one folder above.
 * @param pinned The digest that it must have: 64 hexadecimal digits, with or without "sha256:".
 * @throws Fault "bundle-…" or "digest-…".
 */
export async function openBundle(files: Iterable<File>, pinned?: string): Promise<Loaded> {
  const wanted = pinned === undefined || pinned.trim() === "" ? undefined : pinnedDigest(pinned.trim());
  const folder = bundleFolder([...files]);
  const first = folder.get(MANIFEST_NAME);
  if (first === undefined) throw new Fault("bundle-missing", { expected: MANIFEST_NAME });
  if (first.size > LIMITS.manifestBytes) throw tooLarge(MANIFEST_NAME, LIMITS.manifestBytes, first.size);
  const bytes = await bytesOf(first, MANIFEST_NAME);
  const digest = await sha256(bytes);
  if (wanted !== undefined && wanted !== digest) throw new Fault("digest-mismatch", { expected: wanted, got: digest });
  const manifest = readManifest(bytes);
  checkSizes(manifest);
  checkListing(folder, manifest);
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of manifest.files.keys()) found.set(name, await verified(folder, name, manifest));
  return { manifest, digest, card: cardOf(found), variant: variantOf(manifest), files: found };
}

/** SHA-256 as 64 lower-case hexadecimal digits. */
export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function pinnedDigest(pinned: string): string {
  const found = DIGEST.exec(pinned)?.[1];
  if (found === undefined) throw new Fault("digest-malformed", { got: shown(pinned) });
  return found.toLowerCase();
}

/** The files beside the one manifest, by name; a folder that holds several bundles is none. */
function bundleFolder(files: readonly File[]): Map<string, File> {
  if (files.length > LIMITS.files) throw tooLarge("the folder", LIMITS.files, files.length);
  const folders = new Map<string, File[]>();
  for (const file of files) {
    const at = file.webkitRelativePath.lastIndexOf("/");
    const folder = at < 0 ? "" : file.webkitRelativePath.slice(0, at);
    folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  const bundles = [...folders].filter(([, inside]) => inside.some((file) => file.name === MANIFEST_NAME));
  const one = bundles.length === 1 ? bundles[0] : undefined;
  if (one === undefined) {
    throw new Fault("bundle-missing", { expected: `one ${MANIFEST_NAME}`, got: String(bundles.length) });
  }
  const inside = one[1];
  // What lies in folders within the bundle's is listed nowhere.
  const start = `${one[0]}/`;
  const below = files.filter((file) => file.webkitRelativePath.startsWith(start) && !inside.includes(file));
  const names = new Map(inside.map((file) => [file.name, file]));
  for (const file of below) names.set(file.webkitRelativePath.slice(start.length), file);
  if (names.size !== inside.length + below.length) throw new Fault("bundle-unlisted", { files: "two files of one name" });
  return names;
}

function checkSizes(manifest: Manifest): void {
  if (manifest.files.size > LIMITS.bundleFiles) throw tooLarge("files", LIMITS.bundleFiles, manifest.files.size);
  let total = 0;
  for (const [name, entry] of manifest.files) {
    if (entry.bytes > LIMITS.fileBytes) throw tooLarge(name, LIMITS.fileBytes, entry.bytes);
    total += entry.bytes;
  }
  if (total > LIMITS.bundleBytes) throw tooLarge("the bundle", LIMITS.bundleBytes, total);
}

function checkListing(folder: ReadonlyMap<string, File>, manifest: Manifest): void {
  const missing = [...manifest.files.keys()].filter((name) => !folder.has(name)).sort();
  if (missing.length > 0) throw new Fault("bundle-incomplete", { missing: missing.join(", ") });
  const known = new Set([...manifest.files.keys(), MANIFEST_NAME, SIGNATURE_NAME]);
  const extra = [...folder.keys()].filter((name) => !known.has(name) && !name.split("/").some(isLitter)).sort();
  if (extra.length > 0) throw new Fault("bundle-unlisted", { files: extra.slice(0, 8).map(shown).join(", ") });
}

/** One file's bytes, compared with the manifest; a size that differs is known before anything is read. */
async function verified(
  folder: ReadonlyMap<string, File>,
  name: string,
  manifest: Manifest,
): Promise<Uint8Array<ArrayBuffer>> {
  const entry = manifest.files.get(name);
  const file = folder.get(name);
  if (entry === undefined || file === undefined) throw new Fault("bundle-incomplete", { missing: name });
  const differs = (expected: string, got: string): Fault => new Fault("bundle-tampered", { file: name, expected, got });
  if (file.size !== entry.bytes) throw differs(`${entry.bytes} bytes`, `${file.size} bytes`);
  const data = await bytesOf(file, name);
  const found = await sha256(data);
  if (data.length !== entry.bytes || found !== entry.sha256) throw differs(`SHA-256 ${entry.sha256}`, found);
  return data;
}

async function bytesOf(file: File, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new Fault("file-unreadable", { file: name, got: error instanceof Error ? error.name : "" }, { cause: error });
  }
}

function tooLarge(file: string, most: number, got: number): Fault {
  return new Fault("bundle-too-large", { file, most, got });
}

function cardOf(files: ReadonlyMap<string, Uint8Array>): string {
  const card = files.get("MODEL_CARD.md");
  return card === undefined ? "" : new TextDecoder().decode(card);
}

/** fp32 where there is one: its mask is Python's in every pixel. */
function variantOf(manifest: Manifest): string {
  return manifest.variants.has("fp32") ? "fp32" : ([...manifest.variants.keys()][0] ?? "");
}
