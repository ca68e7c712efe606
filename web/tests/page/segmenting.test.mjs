// Segmentation, the picture and its controls, figures, files and the report for paper.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { BUILT, hasFault, idle, launch, MADE, MODEL, open, openImages, openModel, segment, SLOW_MODEL, text } from "./browser.mjs";
import { serve } from "./server.mjs";

const server = await serve(BUILT);
const browser = await launch();
const { page, seen } = await open(browser, server.url);
await page.addInitScript(() => (window.print = () => (window.printed = true)));
await page.reload();
await page.locator("#research").waitFor();
after(async () => {
  await browser.close();
  await server.close();
});

test("nothing is segmented before there are a model and images", async () => {
  assert.equal(await page.locator("#segment").getAttribute("aria-disabled"), "true");
  assert.match(await text(page, "#segment-status"), /Open a model and images first/);
  for (const id of ["save-nifti", "save-tiff", "save-seg", "print"])
    assert.equal(await page.locator(`#${id}`).getAttribute("aria-disabled"), "true");
});

test("what is marked is what Python marks, and is counted", async () => {
  await openModel(page);
  await page.locator("#variant").selectOption("fp32");
  await openImages(page, `${MADE}/patient`);
  await segment(page);
  assert.equal(await hasFault(page), undefined);
  assert.equal((await text(page, "#volume")).replace(/\D/g, ""), process.env.BRAINSEG_VOXELS);
  assert.match(await text(page, "#segment-status"), /wasm, \d threads?/);
});

test("the page then shows the slice with the largest area", async () => {
  assert.match(await text(page, "#position"), new RegExp(`^Slice ${process.env.BRAINSEG_LARGEST} of 12: [\\d,]+ pixels outlined`));
});

test("keys move through the slices", async () => {
  const picture = page.locator("#picture");
  await picture.focus();
  const now = () => picture.getAttribute("aria-valuenow");
  for (const [key, slice] of [["Home", "1"], ["ArrowUp", "2"], ["ArrowRight", "3"], ["ArrowDown", "2"], ["PageUp", "12"], ["PageDown", "2"], ["End", "12"], ["ArrowRight", "12"]]) {
    await page.keyboard.press(key);
    assert.equal(await now(), slice, key);
  }
  await page.keyboard.press("m");
  assert.equal(await now(), process.env.BRAINSEG_LARGEST);
  assert.match(await picture.getAttribute("aria-valuetext"), /^Slice \d+ of 12: [\d,]+ pixels outlined$/);
});

test("the wheel moves through the slices, and the slider does", async () => {
  await page.locator("#picture").focus();
  await page.keyboard.press("Home");
  await page.locator("#picture").hover();
  await page.mouse.wheel(0, 100);
  await page.waitForFunction(() => document.querySelector("#picture").getAttribute("aria-valuenow") !== "1");
  await page.locator("#slice").fill("7");
  assert.equal(await page.locator("#picture").getAttribute("aria-valuenow"), "7");
});

test("outline and fill are drawn over the grey levels, and can be left out", async () => {
  await page.locator("#picture").focus();
  await page.keyboard.press("m");
  const outlined = await coloured();
  assert.ok(outlined > 50, `${outlined} pixels of the outline`);
  await page.locator("#fill").check();
  const filled = await coloured();
  assert.ok(filled > outlined * 1.5, `${filled} pixels with the fill`);
  await page.locator("#outline").uncheck();
  await page.locator("#fill").uncheck();
  assert.equal(await coloured(), 0);
  await page.locator("#outline").check();
});

test("window and level follow dragging, keys and inputs, and can be reset", async () => {
  const value = async (id) => Number(await page.locator(id).inputValue());
  const box = await page.locator("#picture").boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x - 100, y - 40);
  await page.mouse.up();
  assert.deepEqual([await value("#window"), await value("#level")], [155, 147.5]);
  await page.locator("#picture").focus();
  await page.keyboard.press("w");
  await page.keyboard.press("Shift+L");
  assert.deepEqual([await value("#window"), await value("#level")], [160, 142.5]);
  const before = await mean();
  await page.locator("#level").fill("30");
  await page.locator("#level").blur();
  assert.ok((await mean()) > before, "a lower level is brighter");
  await page.locator("#window-reset").click();
  assert.deepEqual([await value("#window"), await value("#level")], [255, 127.5]);
});

test("sequences can be chosen", async () => {
  const flair = await mean();
  await page.locator("#channel").selectOption("pre");
  assert.notEqual(await mean(), flair);
  await page.locator("#channel").selectOption("flair");
  assert.equal(await mean(), flair);
});

test("the threshold changes the mask and says that it is not the model's", async () => {
  const voxels = async () => Number((await text(page, "#volume")).replace(/\D/g, ""));
  const own = await voxels();
  await page.locator("#threshold").fill("0.95");
  assert.ok((await voxels()) < own);
  assert.match(await text(page, "#threshold-changed"), /0\.50.*0\.95/);
  await page.locator("#threshold-reset").click();
  assert.equal(await voxels(), own);
  assert.ok(await page.locator("#threshold-changed").isHidden());
});

test("warnings are said in words of the language", async () => {
  await openImages(page, `${MADE}/unusual`);
  await segment(page);
  const english = await text(page, "#warnings");
  assert.match(english, /FLAIR|channel|brightness/i);
  assert.doesNotMatch(english, /[{}]|undefined/);
  await page.locator("#language").selectOption("de");
  const german = await text(page, "#warnings");
  assert.doesNotMatch(german, /[{}]|undefined|Check the images/);
  assert.match(german, /Prüfen Sie/);
  await page.locator("#language").selectOption("en");
});

test("the mask is saved as TIFF and as NIfTI with its own pixels", async () => {
  await openImages(page, `${MADE}/patient`);
  await segment(page);
  for (const [id, suffix] of [["save-tiff", ".zip"], ["save-nifti", ".nii.gz"]]) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator(`#${id}`).click()]);
    assert.ok(download.suggestedFilename().includes(suffix));
    assert.doesNotMatch(download.suggestedFilename(), /TCGA/);
    await download.saveAs(`${MADE}/saved/${id}${suffix}`);
    assert.ok((await readFile(`${MADE}/saved/${id}${suffix}`)).length > 100);
  }
  assert.match(await text(page, "#save-why"), /DICOM SEG needs DICOM images/);
});

test("the report for paper has picture, figures, model, digest and research use", async () => {
  await page.locator("#print").click();
  assert.equal(await page.evaluate(() => window.printed), true);
  await page.emulateMedia({ media: "print" });
  const report = await text(page, "#report");
  for (const part of [/For research use only/, /Volume/, /tiny 1\.0\.0/, new RegExp(process.env.BRAINSEG_DIGEST), /Slice \d+ of 12/])
    assert.match(report, part);
  assert.doesNotMatch(report, /TCGA/);
  assert.ok((await page.locator("#report canvas").boundingBox()).width > 100);
  assert.ok(await page.locator("main").isHidden());
  await page.emulateMedia({ media: "screen" });
  assert.ok(await page.locator("#report").isHidden());
});

test("the self-test runs the reference cases of both variants and passes", async () => {
  for (const variant of ["int8", "fp32"]) {
    await page.locator("#variant").selectOption(variant);
    await page.waitForFunction(() => !document.querySelector("#selftest").hasAttribute("aria-disabled"));
    await page.locator("#selftest").click();
    await page.locator("#selftest-result.good, #selftest-result.bad").waitFor();
    await idle(page);
    assert.match(await text(page, "#selftest-result"), /Self-test passed: \d+ cases/);
  }
});

test("another network's result is dropped", async () => {
  await segment(page);
  await page.locator("#variant").selectOption("int8");
  await page.waitForFunction(() => document.querySelector("#volume") === null);
});

test("a segmentation is cancelled, and can be started again", async () => {
  await openModel(page, SLOW_MODEL);
  await openImages(page, `${MADE}/long`);
  await page.locator("#segment").click();
  await page.locator("#cancel").click();
  await page.locator("#cancel").waitFor({ state: "hidden" });
  assert.match(await text(page, "#segment-status"), /was cancelled/);
  assert.equal(await page.locator("#volume").count(), 0);
  assert.equal(await page.locator("#segment").getAttribute("aria-disabled"), null);
  await openImages(page, `${MADE}/patient/TCGA_MADE_0001_5.tif`, false);
  const begun = Date.now();
  await segment(page);
  assert.equal(await hasFault(page), undefined);
  console.log(`from click to first mask, ${SLOW_MODEL.split("/").pop()}, one slice of 96 × 96: ${Date.now() - begun} ms`);
});

test("slices that the model does not take are refused with the sizes that it takes", async () => {
  await openImages(page, `${MADE}/hostile/tiny.tif`, false);
  await segment(page);
  assert.equal(await hasFault(page), "image-size");
  assert.match(await text(page, "#fault"), /16 to 2,048/);
  assert.equal(await page.locator("#volume").count(), 0);
});

test("nothing but language and theme is kept in the browser", async () => {
  await page.locator("#theme").selectOption("dark");
  const kept = await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]);
  assert.deepEqual(kept[0].filter((key) => !["brainseg.language", "brainseg.theme"].includes(key)), []);
  assert.deepEqual(kept.slice(1), [[], ""]);
  assert.deepEqual(await page.evaluate(async () => (await indexedDB.databases()).length), 0);
});

test("nothing failed unseen", () => assert.deepEqual(seen.errors, []));

/** Pixels of the picture that are no grey. */
async function coloured() {
  await frame();
  return page.evaluate(() => {
    const canvas = document.querySelector("#picture-canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) if (data[at] - data[at + 2] > 60) found += 1;
    return found;
  });
}

async function mean() {
  await frame();
  return page.evaluate(() => {
    const canvas = document.querySelector("#picture-canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) sum += data[at + 1];
    return sum / (data.length / 4);
  });
}

/** Wait until what was asked for is painted. */
function frame() {
  return page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}
