// Takes the pictures of docs/web.md. Driven by benchmarks/page_pictures.py.
//
//     node tests/pictures.mjs MODEL STUDY OUT      (STUDY: series that share a grid)
import { join } from "node:path";
import { BUILT, launch, open, openImages, openModel, segment } from "./page/browser.mjs";
import { serve } from "./page/server.mjs";

const [model, study, out] = process.argv.slice(2);
const server = await serve(BUILT);
const browser = await launch();
const { page } = await open(browser, server.url, { viewport: { width: 1320, height: 860 } });
await openModel(page, model);
await page.locator("#variant").selectOption("int8");
await page.locator("#app[data-busy=false]").waitFor();
await openImages(page, study);
await segment(page);
await page.evaluate(() => scrollTo(0, 0));
await page.screenshot({ path: join(out, "page-slice.png") });
const pinned = (position) => page.evaluate((value) => (document.querySelector("#research").style.position = value), position);
await pinned("static"); // else it covers a part's heading
await page.locator("#series-heading").click();
await page.locator("#images").screenshot({ path: join(out, "page-study.png") });
await page.locator("#series-heading").click();
await page.locator("#findings").screenshot({ path: join(out, "page-warnings.png") });
await pinned("");
await page.locator("#language").selectOption("de");
await page.locator("#theme").selectOption("dark");
await page.locator("#fill").check();
await page.evaluate(() => scrollTo(0, 0));
await page.screenshot({ path: join(out, "page-dark.png") });
await browser.close();
await server.close();
