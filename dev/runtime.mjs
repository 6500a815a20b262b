// Starts workerd (through Miniflare) with the bindings of wrangler.toml: the Worker itself, or only its storage.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire, enableCompileCache } from "node:module";
import os from "node:os";
import path from "node:path";
import { packagesContainer, sourceContainer } from "./container.mjs";
import { ROOT } from "./setup.mjs";

enableCompileCache(path.join(ROOT, "node_modules/.cache/compiled")); // wrangler is large: saves a quarter of a second
const require = createRequire(import.meta.url);
const requireFromWrangler = createRequire(require.resolve("wrangler"));
const { unstable_getMiniflareWorkerOptions: workerOptionsOf, unstable_readConfig: readConfig } = require("wrangler");
// The very Miniflare that `wrangler dev` runs, so that state and behaviour are the same.
const { Miniflare, Log, LogLevel, convertV4MiniflareOptions } = requireFromWrangler("miniflare");

const HOST_DIR = path.join(ROOT, "dev/host");
const PYODIDE_DIR = path.dirname(require.resolve("pyodide/package.json"));
const BOOT_URL = "http://localhost/cdn-cgi/dev-host/boot";

export const DEFAULT_PERSIST = path.join(ROOT, ".wrangler/state");
export const config = readConfig({ config: path.join(ROOT, "wrangler.toml") }, { hideWarnings: true });

/**
 * The Worker on http://127.0.0.1:<port>, with its state in `persist` (wrangler's own layout).
 * `bindings` are added to those of wrangler.toml; a value of undefined removes one.
 */
export async function startWorker({ port, persist, source, bindings, quiet }) {
  guardWorkerd();
  const log = new Log(quiet ? LogLevel.ERROR : LogLevel.INFO, { prefix: "worker" });
  const options = () => convertV4MiniflareOptions({
    ...common(persist),
    port,
    host: "127.0.0.1",
    log,
    logRequests: !quiet,
    unsafeTriggerHandlers: true,
    workers: [workerOptions(source, bindings)],
  });
  const mf = new Miniflare(options());
  const url = await mf.ready;
  return {
    mf,
    url: `http://127.0.0.1:${url.port}`,
    port: Number(url.port),
    /** Starts Python now instead of in the first request. */
    boot: () => boot(mf),
    /** Takes the changed source. */
    reload: async () => {
      await mf.setOptions({ ...options(), port: Number(url.port) });
      return boot(mf);
    },
    stop: () => mf.dispose(),
  };
}

/** Only the database and the key store, for programs that need no Worker. Works beside a running server. */
export async function openStorage(persist) {
  guardWorkerd();
  const { d1Databases, kvNamespaces } = bindingsOf(config);
  const worker = { name: config.name, modules: true, script: "export default {}", d1Databases, kvNamespaces };
  const mf = new Miniflare(convertV4MiniflareOptions({ ...common(persist), log: new Log(LogLevel.ERROR), workers: [worker] }));
  await mf.ready;
  return mf;
}

function common(persist) {
  // cf: false is Miniflare's fixed placeholder for request.cf; otherwise it would be downloaded.
  return { resourcePersistencePath: path.join(persist, "v3"), cf: false };
}

function bindingsOf(config) {
  // The secrets come from dev-secrets.json; wrangler would warn about them and look for them elsewhere.
  return workerOptionsOf({ ...config, secrets: undefined }).workerOptions;
}

function workerOptions(source, extra) {
  const options = bindingsOf(config);
  const text = (name, file) => ({ type: "ESModule", path: name, contents: fs.readFileSync(file, "utf8") });
  const bindings = { ...options.bindings, ...extra, DEV_MAIN_MODULE: path.basename(config.main, ".py") };
  return {
    ...options,
    name: config.name,
    rootPath: HOST_DIR,
    modulesRoot: HOST_DIR,
    // The host is JavaScript; it gives the Python code what this flag gives it in production.
    compatibilityFlags: options.compatibilityFlags.filter((flag) => flag !== "python_workers"),
    bindings: Object.fromEntries(Object.entries(bindings).filter(([, value]) => value !== undefined)),
    unsafeEvalBinding: "DEV_UNSAFE_EVAL",
    modules: [
      text("worker.mjs", path.join(HOST_DIR, "worker.mjs")),
      text("shims.mjs", path.join(HOST_DIR, "shims.mjs")),
      text("pyodide.mjs", path.join(PYODIDE_DIR, "pyodide.mjs")),
      text("pyodide.asm.mjs", path.join(PYODIDE_DIR, "pyodide.asm.mjs")),
      { type: "Text", path: "bridge.py.txt", contents: fs.readFileSync(path.join(HOST_DIR, "bridge.py"), "utf8") },
      { type: "CompiledWasm", path: "pyodide.asm.wasm", contents: fs.readFileSync(path.join(PYODIDE_DIR, "pyodide.asm.wasm")) },
      { type: "Data", path: "python_stdlib.bin", contents: fs.readFileSync(path.join(PYODIDE_DIR, "python_stdlib.zip")) },
      { type: "Data", path: "packages.bin", contents: packagesContainer() },
      { type: "Data", path: "source.bin", contents: sourceContainer(source) },
    ],
  };
}

async function boot(mf) {
  const response = await mf.dispatchFetch(BOOT_URL);
  if (!response.ok) throw new Error(`The Python Worker did not start:\n${await response.text()}`);
}

// workerd outlives a Node that is killed with SIGKILL: a shell that waits for Node's end then ends workerd too.
// (Miniflare itself stops it when Node exits or is interrupted.)
function guardWorkerd() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "millimetric-dev-"));
  const pidFile = path.join(folder, "workerd.pid");
  process.env.DEV_WORKERD_PID_FILE = pidFile;
  process.env.DEV_WORKERD = requireFromWrangler("workerd").default;
  process.env.MINIFLARE_WORKERD_PATH = path.join(HOST_DIR, "workerd.sh");
  const script = 'cat > /dev/null; [ -f "$0" ] && kill -9 "$(cat "$0")"; rm -rf "$1"';
  const guard = spawn("/bin/sh", ["-c", script, pidFile, folder], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  guard.unref();
  process.once("exit", () => fs.rmSync(pidFile, { force: true }));
}
