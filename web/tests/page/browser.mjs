// Debian's Chromium, a page that is watched, and what every test of the page does with it.
import { resolve } from "node:path";
import { chromium } from "playwright-core";

export const BUILT = process.env.BRAINSEG_PAGE ?? resolve(import.meta.dirname, "../../../runtime/brainseg_runtime/node/watching/page");
/** A small model with two variants, a real one, and the files that tests/web makes. */
export const MODEL = process.env.BRAINSEG_MODEL ?? resolve(import.meta.dirname, "../../../tests/bundles/tiny");
export const SLOW_MODEL = process.env.BRAINSEG_SLOW_MODEL ?? resolve(import.meta.dirname, "../../../models/unet");
export const MADE = process.env.BRAINSEG_MADE;
const CHROMIUM = process.env.BRAINSEG_CHROMIUM ?? "/usr/bin/chromium";

/** Longest wait for one step, ms: two cores may be shared with other work. */
export const PATIENCE = 120_000;

export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
}

/** With these the page gets its service worker, as in use. Others do without: it would fetch and hash 14 MB for each test. */
export const WITH_WORKER = { serviceWorkers: "allow" };

/** A page with what it asked for, said on its console and threw. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1440, height: 1000 }, serviceWorkers: "block", ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const seen = { requests: [], errors: [], violations: [] };
  context.on("request", (request) => seen.requests.push(request.url()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  // No node answers a plain server's page, and onnxruntime reads its file whole where streaming was cut short.
  const fine = /status of 40[14]|wasm streaming compile failed|falling back to ArrayBuffer/;
  page.on("console", (message) => {
    if (message.type() === "error" && !fine.test(message.text())) seen.errors.push(message.text());
  });
  page.on("filechooser", () => {}); // dialogs are caught from now on, not only once the first key has been pressed
  await page.goto(url);
  await page.locator("#research").waitFor();
  return { context, page, seen };
}

/** Open a folder, or files, by one of the page's buttons. */
export async function pick(page, button, path) {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.locator(`#${button}`).click()]);
  await chooser.setFiles(path);
}

export async function openModel(page, folder = MODEL) {
  await idle(page); // a busy page opens nothing
  await pick(page, "open-bundle", folder);
  await idle(page);
}

export async function openImages(page, path, folder = true) {
  await idle(page);
  await pick(page, folder ? "open-folder" : "open-files", path);
  await idle(page);
}

/** Segment, and wait for the volume or a fault. */
export async function segment(page) {
  await page.locator("#segment").click();
  await idle(page);
}

/** Wait until the page has done what it was asked to. */
export function idle(page) {
  return page.locator("#app[data-busy=false]").waitFor();
}

/** The code of the fault that is shown; undefined if there is none. */
export async function hasFault(page) {
  return (await page.locator("#fault-what").count()) === 0 ? undefined : text(page, "#fault code");
}

export function text(page, selector) {
  return page.locator(selector).innerText();
}
