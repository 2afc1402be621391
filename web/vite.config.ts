/** Builds the page into the package of the gateway, with a compressed copy beside each file that gains by it. */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const OUT = "../src/cellwire/outputs/web/page";
const GATEWAY = process.env.CELLWIRE ?? "http://127.0.0.1:6789";

function compressed(): Plugin {
  let folder = OUT;
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(html|js|css|svg|webmanifest)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        writeFileSync(path + ".gz", gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION }));
      }
    },
  };
}

export default defineConfig({
  base: "./", // works under any path prefix
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [compressed()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    sourcemap: false,
    license: { fileName: "licenses.md" }, // of what is bundled: Preact, its signals, uPlot
    assetsInlineLimit: 0, // the content security policy allows no data: addresses
    modulePreload: { polyfill: false },
    target: "es2022",
    reportCompressedSize: true,
  },
  server: {
    proxy: {
      // The gateway refuses foreign hosts and origins, so both are those of the gateway.
      "/api": { target: GATEWAY, changeOrigin: true, headers: { origin: GATEWAY } },
    },
  },
});
