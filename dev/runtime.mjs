// Starts workerd (through Miniflare) with the bindings of wrangler.toml: the Worker itself, or only its storage.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire, enableCompileCache } from "node:module";
import os from "node:os";
import path from "node:path";
import { pythonImage } from "./image.mjs";
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
 * `bindings` are added to those of wrangler.toml; a value of undefined removes one. `beside` are the options of Workers in
 * JavaScript that run in the same process on the same database.
 */
export async function startWorker({ port, persist, source, bindings, quiet, beside = [] }) {
  guardWorkerd();
  const { bindings: declared, compatibilityFlags, ...options } = bindingsOf(config);
  const all = { ...declared, ...bindings, DEV_MAIN_MODULE: path.basename(config.main, ".py") };
  const image = await preparedImage();
  const mf = new Miniflare(
    convertV4MiniflareOptions({
      ...common(persist),
      port,
      host: "127.0.0.1",
      log: new Log(quiet ? LogLevel.ERROR : LogLevel.INFO, { prefix: "worker" }),
      logRequests: !quiet,
      unsafeTriggerHandlers: true,
      workers: [
        {
          ...options,
          ...host("worker.mjs", "bridge.py"),
          name: config.name,
          compatibilityFlags: compatibilityFlags.filter(isForHost),
          bindings: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
          serviceBindings: { ...options.serviceBindings, DEV_IMAGE: folder(image), DEV_SOURCE: folder(source) },
        },
        ...beside.map((other) => ({ d1Databases: options.d1Databases, ...other })),
      ],
    }),
  );
  const url = await mf.ready;
  return {
    mf,
    url: `http://127.0.0.1:${url.port}`,
    port: Number(url.port),
    /** Starts Python now instead of in the first request; again, it takes the changed source. */
    async boot() {
      const response = await mf.dispatchFetch(BOOT_URL);
      if (!response.ok) throw new Error(`The Python Worker did not start:\n${await response.text()}`);
    },
  };
}

/**
 * Only the database and the key store, for programs that need no Worker. Works beside a running server.
 * `other` are the options of a Worker in JavaScript that uses them, served on 127.0.0.1.
 */
export async function openStorage(persist, other = { script: "export default {}" }) {
  guardWorkerd();
  const { d1Databases, kvNamespaces } = bindingsOf(config);
  const worker = { name: config.name, modules: true, d1Databases, kvNamespaces, ...other };
  const options = { ...common(persist), host: "127.0.0.1", port: 0, log: new Log(LogLevel.ERROR), workers: [worker] };
  const mf = new Miniflare(convertV4MiniflareOptions(options));
  await mf.ready;
  return mf;
}

function common(persist) {
  // cf: false is Miniflare's fixed placeholder for request.cf; otherwise it would be downloaded.
  return { resourcePersistencePath: path.join(persist, "v3"), cf: false };
}

function bindingsOf(config) {
  const { WRANGLER_LOG } = process.env;
  process.env.WRANGLER_LOG = "warn"; // it would say on stdout that it read .dev.vars, amid the output of commands
  try {
    // Without `secrets`: they come from dev-secrets.json, and wrangler would warn that it found none.
    return workerOptionsOf({ ...config, secrets: undefined }).workerOptions;
  } finally {
    if (WRANGLER_LOG === undefined) delete process.env.WRANGLER_LOG;
    else process.env.WRANGLER_LOG = WRANGLER_LOG;
  }
}

// The host is JavaScript; it gives the Python code what this flag gives it in production.
const isForHost = (flag) => flag !== "python_workers";

const folder = (location) => ({ disk: { path: location, writable: false } });

// The options of a Worker whose main module is one of dev/host, with Pyodide and a Python file at hand.
function host(main, pythonFile) {
  const module = (type, name, from) => ({ type, path: name, contents: fs.readFileSync(path.join(from, name)) });
  return {
    rootPath: HOST_DIR,
    modulesRoot: HOST_DIR,
    unsafeEvalBinding: "DEV_UNSAFE_EVAL",
    modules: [
      module("ESModule", main, HOST_DIR),
      module("ESModule", "python.mjs", HOST_DIR),
      module("ESModule", "shims.mjs", HOST_DIR),
      { ...module("Text", pythonFile, HOST_DIR), path: `${pythonFile}.txt` }, // .py would have to be a Python Worker
      module("ESModule", "pyodide.mjs", PYODIDE_DIR),
      module("ESModule", "pyodide.asm.mjs", PYODIDE_DIR),
      module("CompiledWasm", "pyodide.asm.wasm", PYODIDE_DIR),
    ].map((entry) => (entry.type === "CompiledWasm" ? entry : { ...entry, contents: entry.contents.toString() })),
  };
}

function preparedImage() {
  const inHost = (name) => path.join(HOST_DIR, name);
  return pythonImage({
    inputs: [path.join(ROOT, "vendor.lock"), ...["image.mjs", "compile.py", "python.mjs", "shims.mjs"].map(inHost)],
    standardLibrary: path.join(PYODIDE_DIR, "python_stdlib.zip"),
    packages: path.join(ROOT, "python_modules"),
    async make(unfinished, name) {
      const worker = { ...host("image.mjs", "compile.py"), compatibilityDate: config.compatibility_date, serviceBindings: { DEV_IMAGE: folder(unfinished) } };
      const mf = new Miniflare(convertV4MiniflareOptions({ cf: false, log: new Log(LogLevel.ERROR), workers: [worker] }));
      try {
        const response = await mf.dispatchFetch(`http://localhost/${name}`);
        if (!response.ok) throw new Error(`Could not prepare the Python image:\n${await response.text()}`);
        return Buffer.from(await response.arrayBuffer());
      } finally {
        await mf.dispose();
      }
    },
  });
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
