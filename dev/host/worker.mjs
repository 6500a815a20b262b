// The Worker the local server runs: CPython (Pyodide) in workerd, calling the Python entrypoint class as production does.
import { INDEX_URL } from "./shims.mjs";
import * as cloudflareSockets from "cloudflare:sockets";
import * as cloudflareWorkers from "cloudflare:workers";
import bridgeSource from "bridge.py.txt";
import createPyodideModule from "./pyodide.asm.mjs";
import { loadPyodide } from "./pyodide.mjs";
import packages from "packages.bin";
import source from "source.bin";

// The folders production uses. The Worker's own files come before the vendored ones.
const SOURCE_DIR = "/session/metadata";
const PACKAGES_DIR = `${SOURCE_DIR}/python_modules`;

// Internal bindings of this host, hidden from the Python code.
const HOST_BINDINGS = ["DEV_UNSAFE_EVAL", "DEV_MAIN_MODULE"];

// A container is the length of its index (uint32), the index (JSON: [path, size] pairs), then the files in that order.
function writeFiles(FS, container, root) {
  const indexSize = new DataView(container).getUint32(0);
  const index = JSON.parse(new TextDecoder().decode(new Uint8Array(container, 4, indexSize)));
  let offset = 4 + indexSize;
  for (const [path, size] of index) {
    const target = `${root}/${path}`;
    FS.mkdirTree(target.slice(0, target.lastIndexOf("/")));
    FS.writeFile(target, new Uint8Array(container, offset, size));
    FS.utime(target, 0, 0);
    offset += size;
  }
}

// Keeps a coroutine handed to ctx.waitUntil alive until it is done, as the runtime does.
const patched = new WeakSet();
function patchWaitUntil(ctx) {
  if (Object.prototype.toString.call(ctx) !== "[object ExecutionContext]" || patched.has(ctx)) return;
  const waitUntil = ctx.waitUntil.bind(ctx);
  ctx.waitUntil = (awaitable) => {
    const kept = awaitable.copy?.() ?? awaitable;
    waitUntil(
      (async () => {
        try {
          await kept;
        } finally {
          kept.destroy?.();
        }
      })(),
    );
  };
  patched.add(ctx);
}

async function boot(env) {
  const started = Date.now();
  const pyodide = await loadPyodide({
    indexURL: INDEX_URL,
    createPyodideModule,
    lockFileContents: { info: { abi_version: "2026_0", arch: "wasm32", platform: "emscripten_5_0_3", version: "314.0.6", python: "3.14.2" }, packages: {} },
    env: { HOME: "/session", PYTHONHASHSEED: "111" },
    stdout: (line) => console.log(line),
    stderr: (line) => console.error(line),
  });
  const loaded = Date.now();
  writeFiles(pyodide.FS, packages, PACKAGES_DIR);
  writeFiles(pyodide.FS, source, SOURCE_DIR);
  pyodide.registerJsModule("_pyodide_entrypoint_helper", {
    doAnImport: (name) => import(name),
    cloudflareWorkersModule: cloudflareWorkers,
    cloudflareSocketsModule: cloudflareSockets,
    patchWaitUntil,
  });
  pyodide.registerJsModule("_cloudflare_compat_flags", {
    python_request_headers_preserve_commas: true,
    python_workflows_implicit_dependencies: true,
  });
  const written = Date.now();
  const bridge = pyodide.runPython(bridgeSource);
  const entrypoint = bridge.load_entrypoint(env.DEV_MAIN_MODULE, SOURCE_DIR, PACKAGES_DIR);
  const done = Date.now();
  console.log(`boot: load ${loaded - started} write ${written - loaded} import ${done - written}`);
  const interpreter = { call: entrypoint.call };
  pyodide._api.on_fatal = () => {
    console.error("The Python interpreter died; the next request starts a new one.");
    if (running === starting) running = undefined;
  };
  const starting = running;
  return interpreter;
}

let running;
function interpreter(env) {
  running ??= boot(env);
  return running;
}

function visible(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !HOST_BINDINGS.includes(name)));
}

async function handle(handler, argument, env, ctx) {
  const { call } = await interpreter(env);
  return call.callWithOptions({ relaxed: true, promising: true }, handler, argument, ctx, visible(env));
}

export default {
  async fetch(request, env, ctx) {
    // Production never passes /cdn-cgi/ to a Worker, so this path cannot shadow one of its routes.
    if (new URL(request.url).pathname === "/cdn-cgi/dev-host/boot") {
      await interpreter(env);
      return new Response("ok");
    }
    return handle("fetch", request, env, ctx);
  },
  scheduled: (controller, env, ctx) => handle("scheduled", controller, env, ctx),
};
