// Models and images are opened, and what is wrong with them is said in both languages.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { BUILT, hasFault, launch, MADE, MODEL, open, openImages, openModel, pick, text } from "./browser.mjs";
import { serve } from "./server.mjs";

const server = await serve(BUILT);
const browser = await launch();
const { page, seen } = await open(browser, server.url);
after(async () => {
  await browser.close();
  await server.close();
});

test("a model is verified and described by its digest, threshold, licence and card", async () => {
  await openModel(page);
  assert.equal(await text(page, "#digest"), process.env.BRAINSEG_DIGEST);
  assert.match(await text(page, "#model-status"), /tiny 1\.0\.0/);
  await page.locator("#card summary").click();
  assert.ok((await text(page, ".card")).length > 20);
});

test("the expected digest lets its model in and no other", async () => {
  await page.locator("#pin").fill("0".repeat(64));
  await openModel(page);
  assert.equal(await hasFault(page), "digest-mismatch");
  assert.match(await text(page, "#model-status"), /No model is open/);
  await page.locator("#pin").fill(process.env.BRAINSEG_DIGEST);
  await openModel(page);
  assert.equal(await hasFault(page), undefined);
  assert.match(await text(page, "#model-status"), /expected model/);
  await page.locator("#pin").fill("abc");
  await openModel(page);
  assert.equal(await hasFault(page), "digest-malformed");
  await page.locator("#pin").fill("");
});

for (const [folder, code] of [
  ["tampered", "bundle-tampered"],
  ["incomplete", "bundle-incomplete"],
  ["unlisted", "bundle-unlisted"],
  ["no-manifest", "bundle-missing"],
  ["not-json", "bundle-schema"],
  ["huge-manifest", "bundle-too-large"],
]) {
  test(`a ${folder} model is refused with what to do, in both languages`, async () => {
    await openModel(page, `${MADE}/bundles/${folder}`);
    assert.equal(await hasFault(page), code);
    await saysAllParts();
    assert.match(await text(page, "#model-status"), /No model is open/);
  });
}

test("a patient's folder is opened without its name being shown", async () => {
  await openImages(page, `${MADE}/patient`);
  assert.equal(await hasFault(page), undefined);
  assert.match(await text(page, "#images-status"), /A patient’s folder: 12 slices of 96 × 96 pixels/);
  assert.doesNotMatch(await page.locator("body").innerText(), /TCGA_MADE/);
});

test("one slice is opened from a file", async () => {
  await openImages(page, `${MADE}/patient/TCGA_MADE_0001_5.tif`, false);
  assert.match(await text(page, "#images-status"), /one slice of 96 × 96 pixels/);
  assert.ok(await page.locator("#slice").isHidden());
});

for (const [file, code] of [
  ["truncated.tif", /^image-(?:truncated|damaged)$/],
  ["grey.tif", /^image-grey$/],
  ["huge.tif", /^(?:image-size|file-too-large|image-damaged|image-truncated)$/],
  ["noise.tif", /^image-(?:unknown|damaged)$/],
  ["empty.png", /^image-(?:unknown|damaged|truncated)$/],
  ["text.txt", /^(?:nothing-opened|image-unknown|dicom-damaged|roles-unknown|dicom-kind)$/],
]) {
  test(`${file} is refused with what to do, in both languages`, async () => {
    await openImages(page, `${MADE}/hostile/${file}`, false);
    assert.match((await hasFault(page)) ?? "", code);
    await saysAllParts();
    assert.match(await text(page, "#images-status"), /No images are open/);
  });
}

test("slices of two patients are refused", async () => {
  await openImages(page, `${MADE}/two`);
  assert.match((await hasFault(page)) ?? "", /^(?:several-patients|slices-differ|slices-numbers)$/);
});

test("files and folders are taken where they are dropped", async () => {
  for (const folder of [`${MADE}/patient`, MODEL]) await drop(page, folder);
  await page.locator("#digest").waitFor();
  await page.locator("#picture:visible").waitFor();
  assert.equal(await hasFault(page), undefined);
});

test("a fault's message can be closed", async () => {
  await openModel(page, `${MADE}/bundles/tampered`);
  await page.locator("#fault button").click();
  assert.equal(await hasFault(page), undefined);
});

test("a model card cannot bring markup in", async () => {
  await openModel(page, `${MADE}/bundles/marked-up`);
  await page.locator("#card summary").click();
  assert.match(await text(page, ".card"), /<img src=x onerror=alert\(1\)>/);
  assert.equal(await page.locator(".card img, .card script, .card a").count(), 0);
});

test("nothing failed unseen", () => assert.deepEqual(seen.errors, []));

/** What, found or expected, and remedy, in English and in German. */
async function saysAllParts() {
  const english = await text(page, "#fault");
  assert.match(english, /This did not work/);
  assert.match(english, /What to do/);
  assert.doesNotMatch(english, /[{}]|undefined|TCGA_MADE/);
  await page.locator("#language").selectOption("de");
  const german = await text(page, "#fault");
  assert.match(german, /Das hat nicht funktioniert/);
  assert.match(german, /Was zu tun ist/);
  assert.doesNotMatch(german, /[{}]|undefined|What to do/);
  await page.locator("#language").selectOption("en");
}

/** Files dropped onto the page; a browser's own drag cannot be made, so its event is. */
async function drop(target, folder) {
  const { readdir, readFile } = await import("node:fs/promises");
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => [name, (await readFile(`${folder}/${name}`)).toString("base64")]),
  );
  await target.evaluate((found) => {
    const transfer = new DataTransfer();
    for (const [name, base64] of found) {
      transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
    }
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, files);
  await target.locator(folder === MODEL ? "#digest" : "#picture:visible").waitFor();
}
