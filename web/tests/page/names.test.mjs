// Names of files and series, which may be a patient's: where they are shown, and that nothing stores them.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { BUILT, hasFault, idle, launch, MADE, open, openImages, openModel, segment, text, WITH_WORKER } from "./browser.mjs";
import { serve } from "./server.mjs";

const FILE = "TCGA_MADE_0001_5";
const server = await serve(BUILT);
const browser = await launch();
const { page, seen } = await open(browser, server.url, WITH_WORKER);
after(async () => {
  await browser.close();
  await server.close();
});

test("a single file's name is on the screen, on paper beside a line for the patient, and in the mask's name", async () => {
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await openModel(page);
  await openImages(page, `${MADE}/patient/${FILE}.tif`, false);
  await segment(page);
  assert.ok((await text(page, "#images-status")).includes(FILE));
  const report = await printed();
  assert.ok(report.includes(FILE));
  assert.match(report, /Patient \(by hand\)\s+_{20}/);
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#save-tiff").click()]);
  assert.equal(download.suggestedFilename(), `${FILE}_mask.tif`);
  await page.waitForFunction((name) => document.querySelector("#saved").textContent.includes(name), FILE);
});

test("of a study the report names the series that were used, and nothing of the patient", async () => {
  await openImages(page, `${MADE}/unclear`);
  await page.locator("#series-flair").selectOption({ label: "3 AX FLAIR, 6 slices" });
  await page.locator("#series-open").click();
  await idle(page);
  await segment(page);
  assert.equal(await hasFault(page), undefined);
  const report = await printed();
  for (const part of [/Patient \(by hand\)/, /3 AX FLAIR, 6 slices, 10:20/, /4 AX T1, 6 slices, 10:25/, /7 AX T1 POST GD, 6 slices, 10:40/]) assert.match(report, part);
  assert.doesNotMatch(report, /TCGA_MADE|MADE/);
});

test("a name with a path and a mark that turns text gives a mask whose name is one on any system", async () => {
  const { copyFile } = await import("node:fs/promises");
  const odd = `${MADE}/saved/a\\..\\b:c\u202efit_5.tif`;
  await copyFile(`${MADE}/patient/${FILE}.tif`, odd);
  await openImages(page, odd, false);
  await segment(page);
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#save-tiff").click()]);
  assert.match(download.suggestedFilename(), /^[\w.]+_5_mask\.tif$/);
});

test("no name is stored: not by the service worker, in storage, in the title, or in the history", async () => {
  const stored = await page.evaluate(async () => {
    const found = [document.title, location.href, JSON.stringify(history.state), document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage)];
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) found.push(name, request.url, await (await cache.match(request)).text());
    }
    found.push(JSON.stringify(await indexedDB.databases()));
    const folder = await navigator.storage.getDirectory();
    for await (const name of folder.keys()) found.push(name);
    return { kept: found.length, holding: found.filter((each) => each.includes("TCGA_MADE")).length, history: history.length };
  });
  assert.ok(stored.kept > 15, "the service worker keeps the page's files");
  assert.equal(stored.holding, 0);
  assert.ok(stored.history <= 2, "the page's own address alone");
  assert.deepEqual(seen.requests.filter((url) => url.includes("TCGA_MADE")), []);
});

test("nothing failed unseen", () => assert.deepEqual(seen.errors, []));

/** What would be on paper. */
async function printed() {
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await page.emulateMedia({ media: "print" });
  const report = await text(page, "#report");
  await page.emulateMedia({ media: "screen" });
  return report;
}
