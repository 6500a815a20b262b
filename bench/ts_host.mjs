// Serves bench/ts_server.mjs in workerd over the database of a state folder, until its stdin closes.
// Usage: ts_host.mjs <state folder> <statement, as JSON>
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { openStorage } from "../dev/runtime.mjs";
import { ROOT } from "../dev/setup.mjs";

const require = createRequire(createRequire(import.meta.url).resolve("wrangler"));
const { build } = require("esbuild");

const [persist, statement] = process.argv.slice(2);
process.chdir(ROOT);
const started = performance.now();
const bundled = await build({ entryPoints: ["bench/ts_server.mjs"], bundle: true, format: "esm", minify: true, conditions: ["workerd", "worker"], write: false });
const mf = await openStorage(persist, { script: bundled.outputFiles[0].text, bindings: { STATEMENT: statement }, compatibilityDate: "2026-10-23" });
const url = await mf.ready;
const workerd = Number(fs.readFileSync(process.env.DEV_WORKERD_PID_FILE, "utf8"));
console.log(JSON.stringify({ ready: { url: `http://127.0.0.1:${url.port}`, workerd, start_ms: performance.now() - started } }));
process.stdin.resume();
process.stdin.on("end", async () => {
  await mf.dispose();
  process.exit(0);
});
