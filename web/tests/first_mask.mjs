// Times the page: from the click on Segment to the mask on the screen, each time in a fresh page. Driven by benchmarks/page_first_mask.py.
//
//     node tests/first_mask.mjs JOBS      (JOBS: [{model, variant, path, folder}] as JSON; a line of JSON answers each)
import { launch, open, openImages, openModel } from "./page/browser.mjs";
import { BUILT } from "./page/browser.mjs";
import { serve } from "./page/server.mjs";

const server = await serve(BUILT);
const browser = await launch();
for (const job of JSON.parse(process.argv[2])) process.stdout.write(`${JSON.stringify(await timed(job))}\n`);
await browser.close();
await server.close();

async function timed({ model, variant, path, folder }) {
  const { page, context, seen } = await open(browser, server.url);
  const begun = performance.now();
  await openModel(page, model);
  await page.locator("#variant").selectOption(variant);
  await page.locator("#app[data-busy=false]").waitFor();
  const opened = performance.now();
  await openImages(page, path, folder);
  const read = performance.now();
  const first = await page.evaluate(firstMask);
  const slices = Number(await page.locator("#picture").getAttribute("aria-valuemax"));
  const seconds = (from, to) => (to - from) / 1000;
  const found = { slices, model: seconds(begun, opened), images: seconds(opened, read), first, volume: await page.locator("#volume").innerText() };
  await context.close();
  if (seen.errors.length > 0) throw new Error(seen.errors.join("; "));
  return found;
}

/** Seconds from the click until the frame after the one in which the figures are written: the mask is then painted. */
function firstMask() {
  return new Promise((resolve, reject) => {
    const watch = new MutationObserver(look);
    function look() {
      if (document.querySelector("#fault-what") !== null) reject(new Error(document.querySelector("#fault").innerText));
      if (document.querySelector("#volume") === null) return;
      watch.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => resolve((performance.now() - begun) / 1000)));
    }
    watch.observe(document.querySelector("main"), { subtree: true, childList: true });
    const begun = performance.now();
    document.querySelector("#segment").click();
    look(); // a fault that was there before
  });
}
