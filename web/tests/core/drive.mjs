// Drives the core's page in Chromium: jobs come as lines of JSON on standard input, answers go out the same way.
//
//     node tests/core/drive.mjs BUILD RESULTS [--alone]     (BUILD: the folder that `npm run build-core` made)
//
// The server hands out the files that a job names, and takes results; the page's policy is that of the real page.
// --alone leaves out the headers that isolate the page, as a plain web server does: then there is one thread.
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { chromium } from "playwright-core";

const [build, results, ...flags] = process.argv.slice(2);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const POLICY = [
  "default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "connect-src 'self'", "img-src 'self' blob: data:",
  "style-src 'self'", "worker-src 'self' blob:", "object-src 'none'", "base-uri 'none'", "form-action 'none'",
].join("; ");
const ISOLATED = flags.includes("--alone") ? {} : {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  try {
    if (url.pathname === "/result") {
      await pipeline(request, createWriteStream(join(results, basename(url.searchParams.get("name")))));
      response.writeHead(204).end();
      return;
    }
    const path = url.pathname === "/disk" ? url.searchParams.get("path") : join(build, normalize(url.pathname));
    const { size } = await stat(path);
    const type = TYPES[extname(path)] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, "Content-Length": size, "Content-Security-Policy": POLICY, ...ISOLATED });
    await pipeline(createReadStream(path), response);
  } catch {
    if (!response.headersSent) response.writeHead(404);
    response.end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
const page = await browser.newPage();
const elsewhere = [];
page.on("request", (request) => {
  if (!request.url().startsWith(origin) && !/^(?:blob|data):/.test(request.url())) elsewhere.push(request.url());
});
page.on("console", (message) => {
  if (message.type() === "error" || message.type() === "warning") process.stderr.write(`${message.text()}\n`);
});
await page.goto(`${origin}/tests/core/core.html`);
await page.waitForFunction(() => "run" in globalThis);
process.stdout.write(`${JSON.stringify({ ready: await browser.version() })}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await page.evaluate((job) => globalThis.run(job), JSON.parse(line));
  } catch (error) {
    answer = { crash: String(error) };
  }
  process.stdout.write(`${JSON.stringify({ ...answer, elsewhere })}\n`);
}
await browser.close();
server.close();
