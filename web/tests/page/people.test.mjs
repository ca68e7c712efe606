// For people: axe, keyboard alone, 200 % zoom, languages and themes.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { enter, isAccessible, tabTo } from "./access.mjs";
import { BUILT, hasFault, launch, MADE, MODEL, open, openImages, openModel, segment, text } from "./browser.mjs";
import { serve } from "./server.mjs";

const server = await serve(BUILT);
const browser = await launch();
after(async () => {
  await browser.close();
  await server.close();
});

// One page for those that need a result: a network takes seconds to start.
const { page } = await open(browser, server.url, { deviceScaleFactor: 2 });

test("everything is done by keyboard alone, and the focus is seen", async () => {
  await enter(page, "open-bundle", MODEL);
  await page.locator("#digest").waitFor();
  await enter(page, "open-folder", `${MADE}/patient`);
  await page.locator("#picture:visible").waitFor();
  await tabTo(page, "segment");
  await page.keyboard.press("Enter");
  await page.locator("#volume").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "segment", "the place is kept while the page works");
  await tabTo(page, "picture");
  await page.keyboard.press("Home");
  assert.equal(await page.locator("#picture").getAttribute("aria-valuenow"), "1");
  await tabTo(page, "threshold");
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await text(page, "#threshold-value"), "0.50");
  await tabTo(page, "fill");
  await page.keyboard.press("Space");
  assert.ok(await page.locator("#fill").isChecked());
  await tabTo(page, "save-tiff");
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  assert.equal(download.suggestedFilename(), "masks.zip");
  await tabTo(page, "language");
});

test("at 200 % zoom, and on a narrow screen, nothing is cut off", async () => {
  // Zoom halves the width that a style sheet sees: 1280 pixels at 200 % and at 400 %.
  for (const [width, height] of [[640, 512], [320, 512]]) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => scrollTo(0, 0));
    assert.ok(await page.locator("#volume").isVisible());
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} pixels too wide at ${width}`);
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll("button, select, input, h1, h2, p, dd, label")]
        .filter((each) => each.checkVisibility() && !each.closest(".unseen, .scroll, .card, .skip") && !each.matches(".unseen, .skip"))
        .map((each) => [each.id || each.textContent.slice(0, 30), each.getBoundingClientRect()])
        .filter(([, box]) => box.left < -1 || box.right > innerWidth + 1)
        .map(([name]) => name),
    );
    assert.deepEqual(cut, []);
    const bar = await page.locator("#research").boundingBox();
    assert.ok(bar.height < height / 3, "the research line leaves room");
    assert.ok(await page.locator("#research").isVisible());
  }
  await page.setViewportSize({ width: 1440, height: 1000 });
});

test("axe finds nothing with a result and with a fault, in light and dark, English and German", async () => {
  await openImages(page, `${MADE}/unusual`);
  await segment(page);
  await page.locator("#threshold").fill("0.9");
  for (const step of ["result", "fault"]) {
    if (step === "fault") {
      await openImages(page, `${MADE}/hostile/truncated.tif`, false);
      assert.ok(await hasFault(page));
    }
    for (const language of ["de", "en"]) {
      await page.locator("#language").selectOption(language);
      assert.equal(await page.locator("html").getAttribute("lang"), language);
      await page.locator("#card summary").click();
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await isAccessible(page);
      }
    }
  }
});

for (const language of ["en", "de"]) {
  test(`the page opens in the browser's language, ${language}, and axe finds nothing in it while it is empty`, async () => {
    const { page: empty, context } = await open(browser, server.url, { locale: language });
    assert.equal(await empty.locator("html").getAttribute("lang"), language);
    for (const colorScheme of ["light", "dark"]) {
      await empty.emulateMedia({ colorScheme });
      await isAccessible(empty);
    }
    await context.close();
  });
}

test("the switches win over the system, and are kept", async () => {
  const { page, context } = await open(browser, server.url, { colorScheme: "light", locale: "en-GB" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.locator("#theme").selectOption("dark");
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.locator("#language").selectOption("de");
  assert.equal(await page.evaluate(() => document.activeElement.id), "language");
  await page.reload();
  await page.locator("#research").waitFor();
  assert.equal(await ground(), dark);
  assert.match(await text(page, "#research"), /Nur für die Forschung/);
  await context.close();
});

test("the research line is seen wherever the page is scrolled to", async () => {
  const { page, context } = await open(browser, server.url, { viewport: { width: 900, height: 500 } });
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  const box = await page.locator("#research").boundingBox();
  assert.ok(box.y >= 0 && box.y + box.height <= 500);
  await context.close();
});
