/**
 * The service worker: keeps the page's own files, each checked by its SHA-256, so that the page works without a network.
 *
 * What the node answers, and whatever else lies beside the page, is never kept. A new version waits until the page asks
 * for it, and is not taken while the page is open in another tab, so that no page runs with files of two versions.
 */

/** The built files and the SHA-256 of each; filled in by the build. */
declare const BRAINSEG_FILES: Readonly<Record<string, string>>;
/** SHA-256 over all of them. */
declare const BRAINSEG_VERSION: string;

const worker = self as unknown as ServiceWorkerGlobalScope;
const PREFIX = "brainseg-page-";
const CACHE = PREFIX + BRAINSEG_VERSION;

/** Of every file from the cache, whatever the server said: threads need isolation, and nothing may go elsewhere. */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": BRAINSEG_POLICY,
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};
declare const BRAINSEG_POLICY: string;

worker.addEventListener("install", (event) => event.waitUntil(keepAll().catch(dropOwn)));
worker.addEventListener("activate", (event) => event.waitUntil(dropOthers().then(() => worker.clients.claim())));
worker.addEventListener("message", (event) => {
  if (event.data === "use-now") event.waitUntil(useNow(event.ports[0]));
});
worker.addEventListener("fetch", (event) => {
  const name = nameOf(event.request);
  if (name !== undefined) event.respondWith(fromCache(name));
});

/** The file that a request is for; undefined for all that is not the page's. */
function nameOf(request: Request): string | undefined {
  const url = new URL(request.url);
  const scope = new URL(worker.registration.scope);
  if (request.method !== "GET" || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return undefined;
  const path = url.pathname.slice(scope.pathname.length);
  const name = path === "" ? "index.html" : path;
  return Object.hasOwn(BRAINSEG_FILES, name) ? name : undefined;
}

/**
 * A file of this version: the kept one if its bytes are still right, else the server's.
 *
 * What lies in a browser's cache can be damaged, emptied, or changed by another page of the same origin.
 */
async function fromCache(name: string): Promise<Response> {
  const kept = await sound(name);
  if (kept !== undefined) return kept;
  const response = await fetch(addressOf(name), { cache: "no-cache" });
  if (!response.ok) return response;
  const bytes = await response.arrayBuffer();
  // The server may have a newer page by now, which asks for files of its own. A file whose name holds its hash has no other bytes.
  if ((await hex(bytes)) !== BRAINSEG_FILES[name]) return name === "index.html" ? new Response(bytes, response) : Response.error();
  const checked = withHeaders(bytes, response);
  await caches.open(CACHE).then((cache) => cache.put(addressOf(name), checked.clone())).catch(() => undefined); // full: it works without
  return checked;
}

/** The kept file, if there is one and it is what this version was built with. */
async function sound(name: string): Promise<Response | undefined> {
  try {
    const cache = await caches.open(CACHE);
    const kept = await cache.match(addressOf(name));
    if (kept === undefined) return undefined;
    const bytes = await kept.arrayBuffer();
    if ((await hex(bytes)) === BRAINSEG_FILES[name]) return withHeaders(bytes, kept);
    await cache.delete(addressOf(name));
  } catch {
    // The browser's storage fails: the server has the files.
  }
  return undefined;
}

/** Take over from the version before, unless another tab still runs it; the page is told how many there are. */
async function useNow(answer: MessagePort | undefined): Promise<void> {
  const open = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = new URL(worker.registration.scope).pathname;
  const tabs = open.map(({ url }) => new URL(url).pathname).filter((path) => path === page || path === `${page}index.html`).length;
  answer?.postMessage(tabs);
  if (tabs <= 1) await worker.skipWaiting();
}

/** Keep every file, or fail as a whole: the browser then tries again at the next visit. */
async function keepAll(): Promise<void> {
  const cache = await caches.open(CACHE);
  for (const [name, sha256] of Object.entries(BRAINSEG_FILES)) {
    const url = addressOf(name);
    // A file whose name holds its hash is as good from the browser's own cache; each is checked below all the same.
    const response = await fetch(url, { cache: name.startsWith("assets/") ? "default" : "no-cache" });
    if (!response.ok) throw new Error(`${name}: HTTP ${response.status}`);
    const bytes = await response.arrayBuffer();
    if ((await hex(bytes)) !== sha256) throw new Error(`${name}: not the file of this version`);
    await cache.put(url, withHeaders(bytes, response));
  }
}

function addressOf(name: string): URL {
  return new URL(name, worker.registration.scope);
}

/** Checked bytes with the type that they came with and this page's own headers. */
function withHeaders(bytes: ArrayBuffer, { headers }: Response): Response {
  const type = headers.get("content-type") ?? "application/octet-stream";
  return new Response(bytes, { headers: { ...HEADERS, "content-type": type } });
}

/** Leave nothing of a version that could not be kept whole. */
async function dropOwn(error: unknown): Promise<never> {
  await caches.delete(CACHE);
  throw error;
}

async function dropOthers(): Promise<void> {
  const others = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(others.map((name) => caches.delete(name)));
}

async function hex(bytes: ArrayBuffer): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
