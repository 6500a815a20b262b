// The local server: the Worker on workerd, its database prepared, keys minted and demo events loaded at first start.
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { parseArgs } from "node:util";
import { applySchema, localStore } from "./apply.mjs";
import { loadDemo } from "./demo.mjs";
import { config, DEFAULT_PERSIST, startWorker } from "./runtime.mjs";
import { runSession } from "./session.mjs";
import { ROOT } from "./setup.mjs";
import { deleteState, devSecrets, readDevKeys, saveDevKeys } from "./state.mjs";
import { printWelcome } from "./welcome.mjs";

const USAGE = `npm run dev:api -- [options]
  --port N            default ${config.dev.port}; 0 picks a free one
  --persist DIR       where the state is kept; default .wrangler/state
  --fresh             delete that state first
  --no-demo           do not load the demo events
  --quiet             only errors and the final "ready" line
  --omit-secret NAME  start the Worker without this secret
  --var NAME=VALUE    give this variable of wrangler.toml another value
  --source DIR        another folder with an entry.py, without keys and demo: a bare Worker`;

function options() {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: String(config.dev.port) },
      persist: { type: "string", default: DEFAULT_PERSIST },
      fresh: { type: "boolean" },
      "no-demo": { type: "boolean" },
      quiet: { type: "boolean" },
      "omit-secret": { type: "string", multiple: true, default: [] },
      var: { type: "string", multiple: true, default: [] },
      source: { type: "string" },
      help: { type: "boolean" },
    },
  });
  return { ...values, port: Number(values.port), persist: path.resolve(values.persist) };
}

function nameAndValue(given) {
  const [name, ...rest] = given.split("=");
  if (!name || rest.length === 0) throw new Error(`--var ${given}: expected NAME=VALUE, for example --var LOG_REQUESTS=errors`);
  return [name, rest.join("=")];
}

async function serve(options) {
  const say = options.quiet ? () => {} : console.log;
  const source = path.resolve(options.source ?? path.dirname(config.main));
  if (options.port !== 0 && !(await isFree(options.port))) {
    throw new Error(`Port ${options.port} is taken. Stop the program that uses it, or choose another: npm run dev:api -- --port 0`);
  }
  if (options.fresh) deleteState(options.persist);
  const secrets = devSecrets(options.persist);
  const vars = Object.fromEntries(options.var.map(nameAndValue));
  const bindings = { ...vars, ...secrets, ...Object.fromEntries(options["omit-secret"].map((name) => [name, undefined])) };

  say("starting the Worker …");
  const started = Date.now();
  const worker = await startWorker({ port: options.port, persist: options.persist, source, bindings, quiet: options.quiet });
  // Signals need nothing here: Miniflare stops workerd on each. A closed channel means that `npm run` was killed.
  process.once("disconnect", () => process.exit(1));

  const booted = worker.boot();
  const keys = options.source ? undefined : await prepareState(worker.mf, options.persist, secrets, booted);
  await booted;
  say(`the Worker runs (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  if (keys && !options["no-demo"]) await loadDemo({ mf: worker.mf, persist: options.persist, keys, say });
  if (keys && !options.quiet) printWelcome(worker.port, keys);
  console.log(`ready ${JSON.stringify({ url: worker.url, pid: process.pid })}`);
  reloadOnChange(source, worker, say);
}

// The schema, and the keys of a new state.
async function prepareState(mf, persist, secrets, booted) {
  booted.catch(() => {}); // reported by the caller, who awaits it later
  await applySchema(mf);
  if (!readDevKeys(persist)) {
    const code = await runSession({
      program: "provision.py",
      args: ["first-run"],
      env: secrets,
      store: await localStore(mf),
      saveDevKeys: (keys) => saveDevKeys(persist, keys),
    });
    if (code !== 0) throw new Error("dev/provision.py first-run failed.");
  }
  return readDevKeys(persist);
}

// Looks twice a second: watching a folder misses files that an editor replaces.
function reloadOnChange(source, worker, say) {
  let known = fingerprint(source);
  const look = async () => {
    const current = fingerprint(source);
    if (current !== known) {
      known = current;
      say("reloading");
      await worker.boot().then(() => say("reloaded"), (error) => console.error(error.message));
    }
    setTimeout(look, 500);
  };
  setTimeout(look, 500);
}

function fingerprint(folder) {
  const files = fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".py"));
  const states = files.map((name) => [name, fs.statSync(path.join(folder, name), { throwIfNoEntry: false })?.mtimeMs]);
  return JSON.stringify(states);
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

process.chdir(ROOT);
try {
  const chosen = options();
  if (chosen.help) console.log(USAGE);
  else await serve(chosen);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
