// Installs what the project needs, each thing once: node_modules, the Python venvs, python_modules. Node built-ins only.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { hasChromium, installChromium } from "./chromium.mjs";

export const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");
export const PYTHON = path.join(ROOT, ".venv/bin/python");

const LOCK = path.join(ROOT, ".wrangler/setup.lock");
const OLDEST_PYTHON = [3, 11];
// What production runs: the platform tag of the wheels and the Python version of the compatibility date in wrangler.toml.
export const WORKER_PLATFORM = ["--platform", "pyemscripten_2026_0_wasm32", "--python-version", "3.14", "--only-binary=:all:"];

export class SetupError extends Error {}

/** Where the Node 22 that runs wrangler and the local runtime is installed. */
export function node22() {
  const arch = `${process.platform}-${process.arch}`;
  const name = arch === "darwin-arm64" ? `node-bin-${arch}` : `node-${arch}`;
  return path.join(ROOT, "node_modules", name, "bin/node");
}

const steps = {
  node: {
    what: "Node packages (node_modules)",
    stamp: "node_modules/.setup-stamp",
    inputs: ["package-lock.json"],
    run() {
      command("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
      if (!fs.existsSync(node22())) {
        throw new SetupError(`No Node 22 package exists for ${process.platform}-${process.arch}; supported are Linux and macOS on x64 and arm64.`);
      }
    },
  },
  venv: venvStep(".venv", "dev.lock", "Python tools (.venv)"),
  mcp: venvStep(".venv-mcp", "mcp-client.lock", "the MCP client used by tests (.venv-mcp)"),
  fuzzVenv: venvStep(".venv-fuzz", "fuzz.lock", "Atheris, for CPython 3.11 to 3.13 on Linux, x64 (.venv-fuzz)"),
  benchVenv: venvStep("bench/.venv", "bench.lock", "what the benchmark compares with: DuckDB, FastMCP (bench/.venv)"),
  benchNode: {
    what: "what the benchmark compares with: ClickHouse, 560 MB, and the TypeScript SDK (bench/node_modules)",
    stamp: "bench/node_modules/.setup-stamp",
    inputs: ["bench/package-lock.json"],
    run() {
      command("npm", ["ci", "--prefix", "bench", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    },
  },
  vendor: {
    what: "the Worker's Python packages (python_modules)",
    stamp: "python_modules/.setup-stamp",
    inputs: ["vendor.lock"],
    run() {
      const target = path.join(ROOT, "python_modules");
      const fresh = `${target}.new`;
      remove(fresh);
      pip(PYTHON, "install", "--target", fresh, "--no-compile", "--no-deps", ...WORKER_PLATFORM, "--require-hashes", "-r", "vendor.lock");
      removeTests(fresh);
      remove(target);
      fs.renameSync(fresh, target);
    },
  },
  chromium: { what: "Chromium, for the tests in a browser", isCurrent: hasChromium, run: installChromium },
};

/** Brings the named steps up to date, one process at a time; instant when nothing changed. */
export function setup(...names) {
  if (names.every((name) => isCurrent(steps[name]))) return;
  withLock(() => {
    for (const name of names) {
      const step = steps[name];
      if (isCurrent(step)) continue;
      process.stderr.write(`setup: installing ${step.what} …\n`);
      const started = Date.now();
      step.run();
      if (step.stamp) fs.writeFileSync(path.join(ROOT, step.stamp), fingerprint(step)); // last: an interrupted step starts over
      process.stderr.write(`setup: ${step.what} ready after ${Math.round((Date.now() - started) / 1000)} s\n`);
    }
  });
}

function venvStep(folder, lock, what) {
  return {
    what,
    stamp: `${folder}/.setup-stamp`,
    inputs: [lock],
    run() {
      const target = path.join(ROOT, folder);
      remove(target);
      const result = spawnSync(findPython(), ["-m", "venv", target], { stdio: ["ignore", "inherit", "inherit"] });
      if (result.status !== 0) {
        throw new SetupError("Could not create a Python virtual environment. On Debian and Ubuntu: apt-get install python3-venv");
      }
      pip(path.join(target, "bin/python"), "install", "--require-hashes", "--no-deps", "-r", lock);
    },
  };
}

function pip(python, ...args) {
  command(python, ["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", ...args]);
}

/** Runs a program of this machine, its output on stderr. Errors: SetupError. */
export function command(name, args) {
  const result = spawnSync(name, args, { cwd: ROOT, stdio: ["ignore", 2, 2] });
  if (result.error) throw new SetupError(`Could not start ${name}: ${result.error.message}`);
  if (result.signal) process.kill(process.pid, result.signal);
  if (result.status !== 0) throw new SetupError(`Failed (exit ${result.status}): ${path.basename(name)} ${args.join(" ")}`);
}

function findPython() {
  for (const name of ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"]) {
    const probe = spawnSync(name, ["-c", "import sys; print(*sys.version_info[:2])"], { encoding: "utf8" });
    if (probe.status !== 0) continue;
    const [major, minor] = probe.stdout.trim().split(" ").map(Number);
    if (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1]) return name;
  }
  throw new SetupError(`Python ${OLDEST_PYTHON.join(".")} or newer is needed: none found as python3, python3.11 … python3.14 or python.`);
}

function removeTests(folder) {
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory() && (entry.name === "tests" || entry.name === "__pycache__")) remove(path.join(entry.parentPath ?? entry.path, entry.name));
  }
  remove(path.join(folder, "bin"));
}

function isCurrent(step) {
  if (step.isCurrent) return step.isCurrent();
  try {
    return fs.readFileSync(path.join(ROOT, step.stamp), "utf8") === fingerprint(step);
  } catch {
    return false;
  }
}

function fingerprint(step) {
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}`);
  for (const name of step.inputs) hash.update(fs.readFileSync(path.join(ROOT, name)));
  return hash.digest("hex");
}

function withLock(work) {
  fs.mkdirSync(path.dirname(LOCK), { recursive: true });
  let told = false;
  for (;;) {
    try {
      fs.writeFileSync(LOCK, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const owner = lockOwner();
    if (owner !== undefined && !isAlive(owner)) {
      remove(LOCK);
      continue;
    }
    if (!told) process.stderr.write(`setup: waiting for process ${owner} to finish its setup (none is running? delete .wrangler/setup.lock) …\n`);
    told = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  }
  try {
    work();
  } finally {
    remove(LOCK);
  }
}

function lockOwner() {
  try {
    return Number(fs.readFileSync(LOCK, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function remove(target) {
  fs.rmSync(target, { recursive: true, force: true });
}
