// How the page is built: hashed files, a module worker, onnxruntime's WebAssembly beside them, nothing from elsewhere.
import { resolve } from "node:path";
import { defineConfig } from "vite";
import { offline } from "./offline.plugin.ts";

/** Threads of WebAssembly need a page of its own process; the same headers belong on the server that serves the page. */
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig(({ mode }) => ({
  base: "./",
  publicDir: "public",
  // Takes the plain WebAssembly build of onnxruntime as files of their own, without WebGPU.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import", "default"] },
  worker: { format: "es" },
  plugins: mode === "core" ? [] : [offline()],
  build: {
    target: "es2023",
    outDir: mode === "core" ? "build-core" : "build",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    sourcemap: false,
    // The mode "core" builds the page that the tests of the core run in; it is never shipped.
    rollupOptions:
      mode === "core"
        ? { input: resolve(import.meta.dirname, "tests/core/core.html") }
        : {
            input: { page: resolve(import.meta.dirname, "index.html"), sw: resolve(import.meta.dirname, "src/app/offline/service_worker.ts") },
            output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
          },
  },
  server: { headers: ISOLATED },
  preview: { headers: ISOLATED },
}));
