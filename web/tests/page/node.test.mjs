// Served by a node: its studies, their pictures and results, doing it again, and the token.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { hasFault, launch, open, openModel, text } from "./browser.mjs";

const { BRAINSEG_NODE: NODE, BRAINSEG_LOCKED_NODE: LOCKED, BRAINSEG_TOKEN: TOKEN, BRAINSEG_DONE: DONE } = process.env;
const { source } = createRequire(import.meta.url)("axe-core");
const browser = await launch();
after(() => browser.close());

test("the node serves the page with threads, and its studies are listed by key", async () => {
  const { page, seen, context } = await open(browser, NODE);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  await page.locator(`#study-${DONE}`).waitFor();
  assert.equal(await page.locator("#node-list tbody tr").count(), 3);
  assert.match(await text(page, "#node-list"), /failed, kept aside/);
  await page.locator("#language").selectOption("de");
  await page.locator(`#study-${DONE}`).waitFor();
  assert.match(await text(page, "#node-list"), /gescheitert/);
  await openModel(page);
  assert.equal(await hasFault(page), undefined);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test("a study's picture, results and deliveries are shown, and axe finds nothing", async () => {
  const { page, seen, context } = await open(browser, NODE);
  await page.locator(`#study-${DONE}`).click();
  await page.locator("#node-preview").waitFor();
  assert.ok(await page.locator("#node-preview").evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
  const detail = await text(page, "#node-detail");
  assert.match(detail, /12\.5 mL/);
  assert.match(detail, /FLAIR is repeated/);
  assert.match(detail, /pacs/);
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), []);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "SEG: seg.dcm" }).click()]);
  assert.equal(download.suggestedFilename(), "seg.dcm");
  await page.locator("#node-close").click();
  assert.equal(await page.evaluate(() => document.activeElement.id), `study-${DONE}`);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test("a study is segmented again; what the node refuses is told in its words", async () => {
  const { page, context } = await open(browser, NODE);
  await page.locator(`#study-${DONE}`).click();
  await page.locator("#node-rerun").click();
  await page.getByText(`Study ${DONE} will be segmented again`).waitFor();
  await page.locator("#node-rerun").click();
  await page.locator("#fault-what").waitFor();
  assert.match(await text(page, "#fault"), /The node says/);
  assert.equal(await hasFault(page), "node-refused");
  await context.close();
});

test("a node with a token asks for it, keeps it in memory alone, and forgets it", async () => {
  const { page, context } = await open(browser, LOCKED);
  await page.locator("#token").fill("wrong-token-wrong-token-1");
  await page.keyboard.press("Enter");
  await page.locator("#fault-what").waitFor();
  assert.equal(await hasFault(page), "node-token");
  await page.locator("#token").fill(TOKEN);
  await page.locator("#sign-in").click();
  await page.locator("#node-list tbody tr").first().waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.ok(!kept.includes(TOKEN));
  await page.locator("#sign-out").click();
  await page.locator("#token").waitFor();
  await page.reload();
  await page.locator("#token").waitFor();
  await context.close();
});
