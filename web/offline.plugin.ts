// Build step: the content policy into the page's head, and the list of built files with their hashes into the service worker.
import { createHash } from "node:crypto";
import type { Plugin } from "vite";

/** What the page may do: run and load what came with it, and ask its own server. Servers add frame-ancestors. */
export const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; " +
  "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'";

const WORKER = "sw.js";

/** The plugin; the service worker is an entry of its own, whose file is called sw.js. */
export function offline(): Plugin {
  return {
    name: "brainseg-offline",
    apply: "build",
    transformIndexHtml: {
      order: "pre",
      handler: () => [
        { tag: "meta", attrs: { "http-equiv": "content-security-policy", "content": POLICY }, injectTo: "head-prepend" },
      ],
    },
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const worker = bundle[WORKER];
        if (worker?.type !== "chunk") return;
        if (worker.imports.length > 0) this.error(`${WORKER} imports ${worker.imports.join(", ")}: it must be one file`);
        const files = Object.fromEntries(
          Object.entries(bundle)
            .filter(([name]) => name !== WORKER)
            .sort(([one], [other]) => (one < other ? -1 : 1))
            .map(([name, file]) => [name, sha256(file.type === "chunk" ? file.code : file.source)]),
        );
        const version = sha256(JSON.stringify([files, worker.code, POLICY])).slice(0, 16);
        const facts = { BRAINSEG_FILES: files, BRAINSEG_VERSION: version, BRAINSEG_POLICY: POLICY };
        const constants = Object.entries(facts).map(([name, value]) => `const ${name}=${JSON.stringify(value)};`);
        worker.code = `${constants.join("\n")}\n${worker.code}`;
      },
    },
  };
}

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
