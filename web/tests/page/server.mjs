// A plain server of the built page's files with the headers that docs/web.md asks for; it counts what it was asked.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};
const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "x-content-type-options": "nosniff",
};

/**
 * Serve a folder on a free port of this machine.
 *
 * `answer` may give {status, type, body}, or a promise of it, for a path and a request; it stands in for a node that means ill or fails.
 */
export async function serve(folder, { port = 0, headers = ISOLATED, answer = () => undefined } = {}) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    asked.push(path);
    const special = await answer(path, request);
    if (special !== undefined) {
      const { status = 200, type = "application/json", body = "" } = special;
      response.writeHead(status, { ...headers, "content-type": type, ...special.headers }).end(typeof body === "string" ? body : JSON.stringify(body));
      return;
    }
    const file = join(folder, normalize(path === "/" ? "/index.html" : path));
    if (!file.startsWith(folder) || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, { ...headers, "content-type": "text/plain" }).end("not found");
      return;
    }
    const cache = path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
    response.writeHead(200, { ...headers, "content-type": TYPES[extname(file)] ?? "application/octet-stream", "cache-control": cache });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  server.unref(); // a test that fails leaves it open, and must not keep the others waiting
  return {
    asked,
    port: server.address().port,
    url: `http://localhost:${server.address().port}/`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
