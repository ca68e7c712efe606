// Nothing leaves the page's own origin, and after the first visit nothing is needed from it.
import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { BUILT, hasFault, idle, launch, MADE, open, openImages, openModel, segment, text, WITH_WORKER } from "./browser.mjs";
import { serve } from "./server.mjs";

const browser = await launch();
after(() => browser.close());

test("no request leaves the page's origin, and the policy forbids one", async () => {
  const server = await serve(BUILT);
  const { page, seen, context } = await open(browser, server.url, WITH_WORKER);
  await kept(page);
  await openModel(page);
  await openImages(page, `${MADE}/patient`);
  await segment(page);
  await page.locator("#language").selectOption("de");
  assert.deepEqual(seen.requests.filter((url) => !url.startsWith(server.url) && !url.startsWith(`blob:${server.url}`)), []);
  assert.deepEqual(seen.errors, []);
  const refused = await page.evaluate(async () => {
    const other = await fetch("https://example.com/").then(() => "went out", () => "refused");
    const image = await new Promise((resolve) => {
      const element = new Image();
      element.onload = () => resolve("went out");
      element.onerror = () => resolve("refused");
      element.src = "https://example.com/pixel.png";
    });
    const inline = document.createElement("script");
    inline.textContent = "window.ran = true";
    document.head.append(inline);
    return [other, image, window.ran ?? "not run"];
  });
  assert.deepEqual(refused, ["refused", "refused", "not run"]);
  await context.close();
  await server.close();
});

test("after the first visit the page opens and segments without a server", async () => {
  const server = await serve(BUILT);
  const { page, seen, context } = await open(browser, server.url, WITH_WORKER);
  await kept(page);
  await server.close();
  await page.reload();
  await page.locator("#research").waitFor();
  await openModel(page);
  await openImages(page, `${MADE}/patient`);
  await segment(page);
  assert.equal(await hasFault(page), undefined);
  assert.equal((await text(page, "#volume")).replace(/\D/g, ""), process.env.BRAINSEG_VOXELS);
  assert.deepEqual(seen.errors.filter((each) => !/ERR_CONNECTION_REFUSED|ERR_FAILED/.test(each)), []);
  await context.close();
});

test("a plain server without headers gives threads too, from the second visit on", async () => {
  const server = await serve(BUILT, { headers: {} });
  const { page, context } = await open(browser, server.url, WITH_WORKER);
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  await kept(page);
  await page.reload();
  await page.locator("#research").waitFor();
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  await context.close();
  await server.close();
});

test("a new version waits until it is asked for; a damaged one is never taken", async () => {
  const folder = await mkdtemp(join(tmpdir(), "page-"));
  await cp(BUILT, folder, { recursive: true });
  const server = await serve(folder);
  const { page, context } = await open(browser, server.url, WITH_WORKER);
  await kept(page);
  const version = await page.evaluate(() => caches.keys());
  const worker = await readFile(join(folder, "sw.js"), "utf8");
  const asset = (await readdir(join(folder, "assets"))).find((name) => name.endsWith(".css"));
  await writeFile(join(folder, "sw.js"), worker.replace(/("assets\/[^"]+\.css":")./, "$1x").replace(/VERSION="./, 'VERSION="z'));
  assert.ok(asset);
  await update(page);
  assert.equal(await page.locator("#renew").count(), 0, "a version whose files do not fit its list");
  assert.deepEqual(await page.evaluate(() => caches.keys()), version);
  await writeFile(join(folder, "sw.js"), worker.replace(/VERSION="./, 'VERSION="y'));
  await update(page);
  await page.locator("#renew").waitFor();
  await Promise.all([page.waitForEvent("load"), page.locator("#renew").click()]);
  await page.locator("#research").waitFor();
  await page.waitForFunction(async (old) => (await caches.keys()).every((name) => !old.includes(name)), version);
  await context.close();
  await server.close();
  await rm(folder, { recursive: true });
});

test("a kept file with a wrong byte is fetched again, and without a server refused", async () => {
  const server = await serve(BUILT);
  const { page, context } = await open(browser, server.url, WITH_WORKER);
  await kept(page);
  await page.reload(); // the worker answers from now on
  await page.locator("#research").waitFor();
  for (const ending of [".wasm", ".css", "index.html"]) {
    const { url, bytes } = await damage(page, ending);
    assert.equal(await sizeOf(page, url), bytes, "the server's, whose hash was compared");
    assert.equal(await stateOf(page, url), "right", `${ending} is right again in the cache`);
  }
  await damage(page, ".wasm");
  await damage(page, ".css");
  await server.close();
  for (const ending of [".wasm", ".css"]) assert.equal(await sizeOf(page, await addressOf(page, ending)), undefined);
  await openModel(page);
  assert.equal(await hasFault(page), "model-failed", "a network of unknown bytes does not run");
  await context.close();
});

test("a server's file that is not this version's is not taken in place of a lost one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "page-"));
  await cp(BUILT, folder, { recursive: true });
  const server = await serve(folder);
  const { page, context } = await open(browser, server.url, WITH_WORKER);
  await kept(page);
  await page.reload();
  await page.locator("#research").waitFor();
  const workers = (await readdir(join(folder, "assets"))).filter((name) => name.startsWith("worker-"));
  assert.ok(workers.length > 0);
  for (const each of workers) await writeFile(join(folder, "assets", each), "postMessage({ kind: 'loaded', threads: 1 });");
  await page.evaluate(async () => Promise.all((await caches.keys()).map((name) => caches.delete(name))));
  await openModel(page);
  assert.equal(await hasFault(page), "model-failed");
  await cp(BUILT, folder, { recursive: true });
  await openModel(page);
  assert.equal(await hasFault(page), undefined, "the server's right files are taken");
  await context.close();
  await server.close();
  await rm(folder, { recursive: true });
});

test("a new version is not loaded while the page works, nor while it is open in two tabs", async () => {
  const folder = await mkdtemp(join(tmpdir(), "page-"));
  await cp(BUILT, folder, { recursive: true });
  const server = await serve(folder);
  const { page, context } = await open(browser, server.url, WITH_WORKER);
  await kept(page);
  await openModel(page);
  await openImages(page, `${MADE}/patient`);
  const second = await context.newPage();
  await second.goto(server.url);
  const worker = await readFile(join(folder, "sw.js"), "utf8");
  await writeFile(join(folder, "sw.js"), worker.replace(/VERSION="./, 'VERSION="y'));
  await update(page);
  for (const each of [page, second]) await each.locator("#renew").waitFor();
  await page.evaluate(() => {
    const send = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (...message) {
      window.goOn = () => send.apply(this, message); // the network waits until it is told
    };
  });
  await page.locator("#segment").click();
  await page.locator("#renew").click();
  assert.equal(await hasFault(page), "update-busy");
  await page.evaluate(() => goOn());
  await idle(page);
  assert.ok(await page.locator("#volume").isVisible());
  await page.locator("#renew").click();
  await page.locator("#fault-what").getByText("other tabs").waitFor();
  assert.ok(await page.locator("#volume").isVisible(), "nothing is lost");
  await second.close();
  await Promise.all([page.waitForEvent("load"), page.locator("#renew").click()]);
  await page.locator("#research").waitFor();
  assert.equal(await page.locator("#renew").count(), 0);
  await context.close();
  await server.close();
  await rm(folder, { recursive: true });
});

test("where the browser's storage is full the page works, and does not say that it is kept", async () => {
  const server = await serve(BUILT);
  const context = await browser.newContext({ locale: "en-GB", ...WITH_WORKER });
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: 1_000_000 });
  await page.goto(server.url);
  while (!server.asked.some((path) => path.endsWith(".wasm"))) await new Promise((resolve) => setTimeout(resolve, 50)); // it installs
  // Given up, and nothing half is left.
  await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration()) === undefined && (await caches.keys()).length === 0);
  assert.doesNotMatch(await text(page, "#local"), /without a network/);
  await openModel(page);
  await openImages(page, `${MADE}/patient`);
  await segment(page);
  assert.equal(await hasFault(page), undefined);
  await context.close();
  await server.close();
});

/** The address of a kept file of this ending. */
function addressOf(page, ending) {
  return page.evaluate(async (ending) => {
    const cache = await caches.open((await caches.keys())[0]);
    return (await cache.keys()).map(({ url }) => url).find((url) => url.endsWith(ending));
  }, ending);
}

/** Change the last byte of a kept file, as a failing disk or another page of the origin may. */
function damage(page, ending) {
  return page.evaluate(async (ending) => {
    const cache = await caches.open((await caches.keys())[0]);
    const { url } = (await cache.keys()).find((request) => request.url.endsWith(ending));
    const found = await cache.match(url);
    const bytes = new Uint8Array(await found.arrayBuffer());
    bytes[bytes.length - 1] ^= 1;
    await cache.put(url, new Response(bytes, { headers: { ...Object.fromEntries(found.headers), "x-damaged": "yes" } }));
    return { url, bytes: bytes.length };
  }, ending);
}

/** Bytes of what the page gets for an address; undefined if it gets nothing. */
function sizeOf(page, url) {
  return page.evaluate((url) => fetch(url).then(async (response) => (response.ok ? (await response.arrayBuffer()).byteLength : undefined), () => undefined), url);
}

function stateOf(page, url) {
  return page.evaluate(async (url) => {
    const found = await (await caches.open((await caches.keys())[0])).match(url);
    return found === undefined || found.headers.has("x-damaged") ? "damaged" : "right";
  }, url);
}

/** Have the browser look for a new version, and wait until it is kept or given up. */
function update(page) {
  return page.evaluate(async () => {
    const found = await navigator.serviceWorker.ready;
    await found.update().catch(() => undefined);
    while (found.installing !== null) await new Promise((resolve) => setTimeout(resolve, 100));
    await new Promise((resolve) => setTimeout(resolve, 300));
  });
}

/** Wait until the service worker holds every file. */
function kept(page) {
  return page.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
}
