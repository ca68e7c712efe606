// A study that cannot be opened until somebody says which series is what: by keyboard alone, in English and in German.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { enter, isAccessible, tabTo } from "./access.mjs";
import { BUILT, hasFault, idle, launch, MADE, open, text } from "./browser.mjs";
import { serve } from "./server.mjs";

const server = await serve(BUILT);
const browser = await launch();
after(async () => {
  await browser.close();
  await server.close();
});

const WORDS = {
  "en-GB": { heading: "Series", faulty: /Choose the right one below/, slices: /6 slices of 256/, flair: "FLAIR", none: "None" },
  "de": { heading: "Serien", faulty: /Wählen Sie/, slices: /6 Schichten/, flair: "FLAIR", none: "Keine" },
};

for (const [locale, words] of Object.entries(WORDS)) {
  test(`a study with two FLAIRs is opened once one is chosen, by keyboard, ${locale}`, async () => {
    const { page, seen, context } = await open(browser, server.url, { locale });
    await enter(page, "open-folder", `${MADE}/unclear`);
    await page.locator("#series").waitFor();
    assert.equal(await hasFault(page), "roles-several");
    assert.match(await text(page, "#fault"), words.faulty);
    assert.equal(await text(page, "#series-heading"), words.heading);
    assert.ok(await page.locator("#series[open]").isVisible(), "the list opens by itself");
    assert.equal(await page.locator("#series tbody tr").count(), 4);
    await holdsNoName(page);
    await inBothThemes(page);

    await tabTo(page, "series-flair");
    await choose(page, "6 AX FLAIR");
    await tabTo(page, "series-post");
    await choose(page, words.none);
    await tabTo(page, "series-open");
    await page.keyboard.press("Enter");
    await idle(page);
    assert.equal(await hasFault(page), undefined);
    assert.match(await text(page, "#images-status"), words.slices);
    assert.equal(await page.evaluate(() => document.activeElement.id), "series-open", "the place is kept");
    assert.deepEqual(await used(page), ["3 –", "4 T1", `6 ${words.flair}`, "7 –"]);
    await holdsNoName(page);
    await inBothThemes(page);

    // What cannot be is said, and the choice stays to be mended.
    await tabTo(page, "series-pre");
    await choose(page, "6 AX FLAIR");
    await tabTo(page, "series-open");
    await page.keyboard.press("Enter");
    await page.locator("#fault-what").waitFor();
    assert.equal(await hasFault(page), "roles-twice");
    assert.match(await page.locator("#series-pre option:checked").innerText(), /^6 AX FLAIR/);
    assert.deepEqual(seen.errors, []);
    await context.close();
  });
}

/** Choose the option that begins with a text, by the keys alone. */
async function choose(page, start) {
  const chosen = () => page.evaluate(() => document.activeElement.selectedOptions[0].text);
  await page.keyboard.press("Home");
  for (let presses = 0; presses < 10; presses += 1) {
    if ((await chosen()).startsWith(start)) return;
    await page.keyboard.press("ArrowDown");
  }
  assert.fail(`${start} is not among the options: the last is ${await chosen()}`);
}

/** Number and use of each series; what the T1s are called apart from "T1" is the language's. */
async function used(page) {
  const rows = await page.locator("#series tbody tr").all();
  return Promise.all(rows.map(async (row) => {
    const cells = await row.locator("td").allInnerTexts();
    return `${cells[0]} ${cells.at(-1).startsWith("T1") ? "T1" : cells.at(-1)}`;
  }));
}

/** Neither a patient's name nor an identifier, a folder's name, markup or a mark that turns text around: not even unseen. */
async function holdsNoName(page) {
  const markup = await page.locator("#app").evaluate((app) => app.outerHTML);
  assert.doesNotMatch(markup, /TCGA_MADE/);
  assert.doesNotMatch(markup, /[\u202a-\u202e\u2066-\u2069]/);
  assert.equal(await page.locator("#app img").count(), 0);
  assert.match(await text(page, "#series table"), /<img src=x onerror=alert\(1\)>/);
}

async function inBothThemes(page) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await isAccessible(page);
  }
}
