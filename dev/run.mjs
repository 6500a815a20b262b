// The entry of every npm script: sets up what the task needs, then runs it. Node built-ins only, any Node from 20 on.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { node22, PYTHON, ROOT, setup, SetupError } from "./setup.mjs";

const wrangler = () => [node22(), "node_modules/wrangler/bin/wrangler.js"];
const python = (...args) => [PYTHON, ...args];

// schema.sql only creates what is missing, so every deploy may apply it; it has to come before the code that needs it.
const remoteSchema = (args) =>
  args.includes("--dry-run") ? [] : [[...wrangler(), "d1", "execute", "DB", "--remote", "--yes", "--file", "schema.sql"]];

// Two processes share the night's tests (tests/conftest.py says how); each starts a Worker of its own. Three are slower on two
// processors.
const halves = ["-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder", "--durations", "25"];

// task: what must be installed, and the commands that follow, run one after the other. A `linked` one notices when this
// process is killed the hard way: its IPC channel closes.
const tasks = {
  serve: { needs: ["node", "venv", "vendor"], linked: true, commands: (args) => [[node22(), "dev/serve.mjs", ...args]] },
  test: { needs: ["node", "venv", "vendor", "mcp", "chromium"], commands: (args) => [python("-m", "pytest", ...args)] },
  nightly: { needs: ["node", "venv", "vendor", "mcp", "chromium"], env: { NIGHTLY: "1" }, commands: (args) => [python("-m", "pytest", ...halves, ...args)] },
  keys: { needs: ["node", "venv"], commands: (args) => [[node22(), "dev/keys.mjs", ...args]] },
  audit: { needs: ["node", "venv"], commands: (args) => [[node22(), "dev/keys.mjs", "audit", ...args]] },
  backup: { needs: ["node", "venv"], commands: (args) => [[node22(), "dev/backup.mjs", ...args]] },
  lint: { needs: ["venv"], commands: () => [python("-m", "ruff", "check", "."), python("-m", "mypy")] },
  script: { needs: ["node"], commands: (args) => [[node22(), "dev/script.mjs", ...args]] },
  bench: {
    needs: ["node", "venv", "vendor", "benchVenv", "benchNode"],
    commands: (args) => [python("-m", "bench", "--node", node22(), ...args)],
  },
  load: { needs: ["node", "venv", "vendor"], commands: (args) => [python("-m", "load", "--node", node22(), ...args)] },
  fuzz: { needs: ["fuzzVenv"], commands: (args) => [[path.join(ROOT, ".venv-fuzz/bin/python"), "-m", "tests.coverage_fuzz", ...args]] },
  lock: { needs: [], commands: () => [[process.execPath, "dev/lock.mjs"]] },
  deploy: { needs: ["node", "venv", "vendor"], commands: (args) => [...remoteSchema(args), [...wrangler(), "deploy", ...args]] },
  wrangler: { needs: ["node"], commands: (args) => [[...wrangler(), ...args]] },
  setup: { needs: ["node", "venv", "vendor", "mcp", "chromium"], commands: () => [] },
};

// Runs a command in the foreground and passes on the signals sent to this process alone.
function foreground([name, ...args], linked) {
  return new Promise((resolve, reject) => {
    const pathWithNode22 = [path.dirname(node22()), process.env.PATH].join(path.delimiter);
    const env = fs.existsSync(node22()) ? { ...process.env, PATH: pathWithNode22 } : process.env;
    const stdio = ["inherit", "inherit", "inherit", ...(linked ? ["ipc"] : [])];
    const child = spawn(name, args, { cwd: ROOT, env, stdio });
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? (signal ? 1 : 0)));
  });
}

async function main([name, ...args]) {
  const task = tasks[name];
  if (!task) throw new SetupError(`Unknown task ${name}; there are: ${Object.keys(tasks).join(", ")}`);
  setup(...task.needs);
  Object.assign(process.env, task.env);
  if (args[0] === "--") args.shift();
  for (const command of task.commands(args)) {
    const code = await foreground(command, task.linked);
    if (code !== 0) return code;
  }
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
