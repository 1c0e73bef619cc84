/** Bundles the scenes: widget.js (an ES module, what anywidget loads) and page.js (a script, what a saved page carries). */
import { build } from "esbuild";
import { rename } from "node:fs/promises";

const out = new URL("../difflab/static/", import.meta.url).pathname;
const common = {
  bundle: true,
  minify: true,
  target: "es2022",
  legalComments: "none",
  define: { "define.amd": "false" }, // UMD libraries must not look for an AMD loader on the page
  logLevel: "warning",
};

await build({ ...common, entryPoints: ["src/widget.ts"], format: "esm", outfile: `${out}widget.js` });
await build({ ...common, entryPoints: ["src/page.ts"], format: "iife", outfile: `${out}page.js` });
await rename(`${out}page.css`, `${out}widget.css`); // the same style: one file serves both
