// The Worker the local server runs: CPython (Pyodide) in workerd, calling the Python entrypoint class as production does.
import { loadPython, PACKAGES_DIR, readFile, SOURCE_DIR, writeContainer, writeFile } from "./python.mjs";
import * as cloudflareSockets from "cloudflare:sockets";
import * as cloudflareWorkers from "cloudflare:workers";
import bridgeSource from "bridge.py.txt";

// Production never passes /cdn-cgi/ to a Worker, so this path cannot shadow one of its routes.
const BOOT_PATH = "/cdn-cgi/dev-host/boot";

// Bindings of this host, hidden from the Python code.
const HOST_BINDINGS = ["DEV_IMAGE", "DEV_MAIN_MODULE", "DEV_SOURCE", "DEV_UNSAFE_EVAL"];

// What the compatibility date in wrangler.toml implies, as far as the SDK asks.
const COMPATIBILITY_FLAGS = { python_request_headers_preserve_commas: true, python_workflows_implicit_dependencies: true };

// The promise of the interpreter that serves requests.
let running;

function boot(env) {
  const starting = start(env, () => {
    console.error("The Python interpreter died. The next request starts a new one.");
    if (running === starting) running = undefined;
  });
  return starting;
}

async function start(env, died) {
  const [snapshot, packages] = await Promise.all(["snapshot.bin", "packages.bin"].map((name) => readFile(env.DEV_IMAGE, name)));
  const pyodide = await loadPython({
    _loadSnapshot: snapshot,
    stdout: (line) => console.log(line),
    stderr: (line) => console.error(line),
  });
  pyodide._api.on_fatal = died;
  stepInMicrotasks(pyodide._api);
  writeContainer(pyodide.FS, packages, PACKAGES_DIR);
  await writeSource(pyodide.FS, env.DEV_SOURCE, "");
  pyodide.registerJsModule("_cloudflare_compat_flags", COMPATIBILITY_FLAGS);
  pyodide.registerJsModule("_pyodide_entrypoint_helper", {
    doAnImport: (name) => import(name),
    cloudflareWorkersModule: cloudflareWorkers,
    cloudflareSocketsModule: cloudflareSockets,
    patchWaitUntil,
  });
  return pyodide.runPython(bridgeSource)(env.DEV_MAIN_MODULE, SOURCE_DIR, PACKAGES_DIR);
}

// Stock Pyodide takes each step of a coroutine through one message to itself, and calls Python for it through a second. workerd
// serves messages after all other events: with more requests than it can answer, none gets on any more. A microtask belongs
// to the request that asked for it.
function stepInMicrotasks(api) {
  const later = api.scheduleCallback;
  api.scheduleCallback = (callback, delayMs = 0) => (delayMs > 0 ? later(callback, delayMs) : queueMicrotask(callback));
}

// What wrangler would upload from the folder of `main`: its Python files. A listing is JSON.
async function writeSource(FS, folder, path) {
  const entries = await (await folder.fetch(`http://folder/${path}`)).json();
  await Promise.all(
    entries.map(async ({ name, type }) => {
      if (type === "directory" && name !== "__pycache__") return writeSource(FS, folder, `${path}${name}/`);
      if (name.endsWith(".py")) writeFile(FS, `${SOURCE_DIR}/${path}${name}`, new Uint8Array(await readFile(folder, path + name)));
    }),
  );
}

// Keeps a coroutine handed to ctx.waitUntil alive until it is done, as the runtime does.
const patched = new WeakSet();
function patchWaitUntil(ctx) {
  if (Object.prototype.toString.call(ctx) !== "[object ExecutionContext]" || patched.has(ctx)) return;
  const waitUntil = ctx.waitUntil.bind(ctx);
  const keep = async (awaitable) => {
    try {
      await awaitable;
    } finally {
      awaitable.destroy?.();
    }
  };
  ctx.waitUntil = (awaitable) => waitUntil(keep(awaitable.copy?.() ?? awaitable));
  patched.add(ctx);
}

let shown;
function visible(env) {
  return (shown ??= Object.fromEntries(Object.entries(env).filter(([name]) => !HOST_BINDINGS.includes(name))));
}

// Only an address that ends like it is parsed: that is done for each request.
function asksToBoot(url) {
  return url.endsWith(BOOT_PATH) && new URL(url).pathname === BOOT_PATH;
}

async function call(handler, argument, env, ctx) {
  running ??= boot(env);
  const python = await running;
  return python.callPromising(handler, argument, ctx, visible(env));
}

export default {
  async fetch(request, env, ctx) {
    if (!asksToBoot(request.url)) return call("fetch", request, env, ctx);
    running = boot(env); // also how changed source is taken
    await running;
    return new Response(null, { status: 204 });
  },
  scheduled: (controller, env, ctx) => call("scheduled", controller, env, ctx),
};
