// Texts of elsewhere, in names of files, manifests and a node's answers, and a node that fails at the wrong moment.
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { BUILT, hasFault, launch, MADE, MODEL, open, openImages, openModel, segment, text } from "./browser.mjs";
import { serve } from "./server.mjs";

const MARKUP = "<img src=x onerror=alert(1)>";
const TURNED = "\u202e"; // what follows it is shown from right to left
const KEYS = Array.from({ length: 1000 }, (_, at) => at.toString(16).padStart(16, "0"));
/** What the node answers now, by path. */
let node = {};
const folder = await mkdtemp(join(tmpdir(), "hostile-"));
const server = await serve(BUILT, { answer: (path, request) => node[path]?.(new URL(request.url, "http://localhost").searchParams, request) });
const browser = await launch();
after(async () => {
  await browser.close();
  await server.close();
  await rm(folder, { recursive: true });
});

test("names of files are text, turn nothing around, and name nothing of the language", async () => {
  const { page, seen, context } = await open(browser, server.url);
  const whole = await readFile(`${MADE}/patient/TCGA_MADE_0001_5.tif`);
  const odd = join(folder, `${MARKUP}${TURNED}_5.tif`);
  await writeFile(odd, whole);
  await openImages(page, odd, false);
  assert.ok((await text(page, "#images-status")).includes(MARKUP));
  await isPlain(page);
  for (const name of ["constructor", "__proto__", "toString", `${TURNED}${MARKUP}.tif`, `${"x".repeat(240)}.tif`]) {
    await writeFile(join(folder, name), whole.subarray(0, 300));
    await openImages(page, join(folder, name), false);
    assert.ok(await hasFault(page), name);
    await isPlain(page);
  }
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test("a manifest's strings are text, and endless ones are cut", async () => {
  const { page, seen, context } = await open(browser, server.url);
  for (const [at, words] of [MARKUP, `${TURNED}model`, "javascript:alert(1)", "constructor", "n".repeat(200_000)].entries()) {
    const bundle = join(folder, `bundle-${at}`);
    await cp(MODEL, bundle, { recursive: true });
    const manifest = JSON.parse(await readFile(join(bundle, "manifest.json"), "utf8"));
    manifest.name = manifest.version = manifest.licence.id = words;
    await writeFile(join(bundle, "manifest.json"), JSON.stringify(manifest));
    await openModel(page, bundle);
    await isPlain(page);
    assert.ok((await page.locator("main").innerText()).length < 8000, `${words.slice(0, 20)} is cut`);
  }
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test("a kept language that is none gives the browser's", async () => {
  const { page, seen, context } = await open(browser, server.url, { locale: "de" });
  for (const kept of ["constructor", "__proto__", MARKUP]) {
    await page.evaluate((value) => localStorage.setItem("brainseg.language", value), kept);
    await page.reload();
    await page.locator("#research").waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
  }
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test("what a node says is text, and what is no date, name or list does not stop the page", async () => {
  const huge = "w".repeat(1_000_000);
  const words = [MARKUP, `[x](javascript:alert(1))`, `${TURNED}warning`, huge];
  answers({
    detail: {
      study: { ...study(KEYS[0]), state: MARKUP, received: "no date", error: { what: MARKUP + huge } },
      preview: false,
      results: [{ revision: 1, created: "never", current: true, deleted: false, volume_ml: 1, warnings: words, objects: [{ kind: MARKUP, name: `a/${MARKUP}` }] }],
      deliveries: [{ destination: MARKUP, name: TURNED, state: "constructor", attempts: 1e308, error: huge }],
    },
  });
  const { page, seen, context } = await open(browser, server.url);
  await page.locator(`#study-${KEYS[0]}`).click();
  await page.locator("#node-detail-heading").waitFor();
  assert.ok((await text(page, "#node-detail")).includes(MARKUP));
  await isPlain(page);
  assert.ok((await text(page, "#node-detail")).length < 20_000);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
  for (const name of ["../../health", "a/../../x", "", "a//b"]) {
    answers({ detail: { study: study(KEYS[0]), preview: false, results: [{ revision: 1, created: "", current: true, deleted: false, volume_ml: 1, warnings: [], objects: [{ kind: "seg", name }] }], deliveries: [] } });
    await page.locator(`#study-${KEYS[0]}`).click();
    await page.locator("#fault-what").waitFor();
    assert.equal(await hasFault(page), "node-answer");
    await page.locator("#fault button").click();
  }
  for (const body of ['{"__proto__": {"studies": []}}', '{"studies": [{"__proto__": {"key": "x"}}]}', "[]", "null", '{"studies": {"length": 1}}', "no json"]) {
    node["/studies"] = () => ({ body });
    await page.locator("#node-refresh").click();
    await page.locator("#fault-what").waitFor();
    assert.equal(await hasFault(page), "node-answer", body);
    await page.locator("#fault button").click();
  }
  assert.equal(await page.evaluate(() => ({}).studies ?? ({}).key), undefined);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test("a thousand studies are listed, stay listed when refreshed, and a node that goes away leaves them", async () => {
  answers({});
  const { page, context } = await open(browser, server.url);
  const rows = page.locator("#node-list tbody tr");
  await rows.first().waitFor();
  assert.equal(await rows.count(), 50);
  for (const count of [100, 200, 400, 800, 1000]) {
    await page.locator("#node-more").click();
    await page.waitForFunction((count) => document.querySelectorAll("#node-list tbody tr").length === count, count);
  }
  assert.equal(await page.locator("#node-more").count(), 0);
  await page.locator("#node-refresh").click();
  await page.locator("#node-said").getByText("1,000 studies").waitFor();
  assert.equal(await rows.count(), 1000);
  node["/ready"] = () => ({ status: 502, type: "text/html", body: MARKUP });
  await page.locator("#node-refresh").click();
  await page.locator("#fault-what").waitFor();
  assert.equal(await hasFault(page), "node-refused");
  assert.equal(await rows.count(), 1000);
  await isPlain(page);
  await context.close();
});

test("the study that was asked for last is shown, whichever answer comes first", async () => {
  answers({});
  let release;
  const slow = new Promise((resolve) => (release = resolve));
  const detail = (key) => ({ study: study(key), preview: false, results: [], deliveries: [] });
  node[`/studies/${KEYS[1]}`] = async () => (await slow, { body: detail(KEYS[1]) });
  node[`/studies/${KEYS[2]}`] = () => ({ body: detail(KEYS[2]) });
  const { page, context } = await open(browser, server.url);
  await page.locator(`#study-${KEYS[1]}`).click();
  await page.locator(`#study-${KEYS[2]}`).click();
  await page.locator("#node-detail-heading").waitFor();
  const late = page.waitForResponse((response) => response.url().endsWith(KEYS[1]));
  release();
  await late;
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
  assert.match(await text(page, "#node-detail-heading"), new RegExp(KEYS[2]));
  await context.close();
});

test("nothing of the node stays on the page after its token has ended", async () => {
  answers({});
  let valid = true;
  const open_ = { ...node };
  for (const path of Object.keys(open_))
    node[path] = (query, request) =>
      valid && request.headers.authorization === "Bearer good" ? open_[path](query, request) : { status: 401, headers: { "www-authenticate": "Bearer" }, body: {} };
  const { page, context } = await open(browser, server.url);
  const signIn = async () => {
    await page.locator("#token").fill("good");
    await page.keyboard.press("Enter");
    await page.locator("#node-list tbody tr").first().waitFor();
  };
  await page.locator("#token").waitFor();
  await signIn();
  await page.locator(`#study-${KEYS[0]}`).click();
  await page.locator("#node-detail-heading").waitFor();
  valid = false;
  await page.locator("#node-refresh").click();
  await page.locator("#token").waitFor();
  assert.equal(await hasFault(page), "node-token");
  valid = true;
  await signIn();
  assert.equal(await page.locator("#node-detail-heading").count(), 0, "the study of the session before");
  await context.close();
});

test("what is opened or dropped while the page works is refused in words, and it asks before it is left", async () => {
  node = {};
  const { page, context } = await open(browser, server.url);
  await openModel(page);
  await openImages(page, `${MADE}/long`);
  // A worker that is busy for good: the page must not depend on its answers.
  await page.evaluate(() => (Worker.prototype.postMessage = () => undefined));
  await page.locator("#segment").click();
  await page.locator("#cancel").waitFor();
  await page.evaluate(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["x"], "x.tif"));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  });
  await page.locator("#fault-what").waitFor();
  assert.equal(await hasFault(page), "busy");
  for (const button of ["open-files", "open-folder", "open-bundle", "open-bundle-files"]) {
    await page.locator("#fault button").click();
    await page.locator(`#${button}`).click();
    assert.equal(await hasFault(page), "busy", button);
  }
  await page.locator("#language").selectOption("de");
  assert.match(await text(page, "#fault"), /die Seite arbeitet noch/);
  await page.locator("#language").selectOption("en");
  // Files that were picked before the page began to work come while it does.
  await page.locator("#fault button").click();
  await page.locator("#open-files-input").setInputFiles(`${MADE}/patient/TCGA_MADE_0001_5.tif`);
  assert.equal(await hasFault(page), "busy");
  assert.match(await text(page, "#images-status"), /24 slices/, "what is open stays open");
  assert.equal(await page.evaluate(() => dispatchEvent(new Event("beforeunload", { cancelable: true }))), false, "it asks");
  await page.locator("#cancel").click();
  await page.locator("#cancel").waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => dispatchEvent(new Event("beforeunload", { cancelable: true }))), true, "it does not ask");
  await context.close();
});

/** A node with a thousand studies that answers as it should, but for `detail`. */
function answers({ detail }) {
  const listed = (query) => {
    const from = query.has("after") ? KEYS.indexOf(query.get("after")) + 1 : 0;
    const keys = KEYS.slice(from, from + Number(query.get("limit")));
    return { studies: keys.map(study), after: from + keys.length < KEYS.length ? keys.at(-1) : null };
  };
  node = {
    "/health": () => ({ body: { alive: true } }),
    "/ready": () => ({ body: { ready: true, reasons: [] } }),
    "/studies": (query) => ({ body: listed(query) }),
    [`/studies/${KEYS[0]}`]: () => ({ body: detail ?? { study: study(KEYS[0]), preview: false, results: [], deliveries: [] } }),
  };
}

function study(key) {
  return { key, state: "done", revision: 1, images: 60, received: "2026-01-02T03:04:05Z", error: null };
}

/** No markup came in, and no mark that turns text around or is not seen. */
async function isPlain(page) {
  assert.equal(await page.locator("#app img, #app script, #app iframe, #app a:not(.skip)").count(), 0);
  assert.doesNotMatch(await page.locator("body").innerText(), /[\u202a-\u202e\u2066-\u2069]/);
}
