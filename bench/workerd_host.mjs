// Serves one of the Workers that ours is compared with over the database of a state folder, until its stdin closes.
// Usage: workerd_host.mjs <state folder> <statement, as JSON> <a module of this folder, or a folder with an entry.py>
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { openStorage, startWorker } from "../dev/runtime.mjs";
import { ROOT } from "../dev/setup.mjs";

const require = createRequire(createRequire(import.meta.url).resolve("wrangler"));
const { build } = require("esbuild");

const [persist, statement, program] = process.argv.slice(2);
process.chdir(ROOT);
const started = performance.now();
const bindings = { STATEMENT: statement };
const { mf, url } = program.endsWith(".mjs") ? await inJavaScript() : await inPython();
const workerd = Number(fs.readFileSync(process.env.DEV_WORKERD_PID_FILE, "utf8"));
console.log(JSON.stringify({ ready: { url, workerd, start_ms: performance.now() - started } }));
process.stdin.resume();
process.stdin.on("end", async () => {
  await mf.dispose();
  process.exit(0);
});

async function inJavaScript() {
  const entryPoints = [path.join("bench", program)];
  const bundled = await build({ entryPoints, bundle: true, format: "esm", minify: true, conditions: ["workerd", "worker"], write: false });
  const mf = await openStorage(persist, { script: bundled.outputFiles[0].text, bindings, compatibilityDate: "2026-10-23" });
  const { port } = await mf.ready;
  return { mf, url: `http://127.0.0.1:${port}` };
}

async function inPython() {
  const worker = await startWorker({ port: 0, persist, source: path.join(ROOT, "bench", program), bindings, quiet: true });
  await worker.boot();
  return worker;
}
