// The files beside the local database: the secrets the local Worker runs with, and the keys minted at first start.
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";
import { config, DEFAULT_PERSIST } from "./runtime.mjs";
import { ROOT } from "./setup.mjs";

const DEV_VARS = path.join(ROOT, ".dev.vars");

export function stateFiles(persist) {
  return {
    database: path.join(persist, "v3"),
    secrets: path.join(persist, "dev-secrets.json"),
    keys: path.join(persist, "dev-keys.json"),
    demoStarted: path.join(persist, "demo-started"),
    demoLoaded: path.join(persist, "demo-loaded"),
  };
}

/** Deletes what this server keeps in the folder, and nothing else that may be in it. */
export function deleteState(persist) {
  for (const file of Object.values(stateFiles(persist))) fs.rmSync(file, { recursive: true, force: true });
}

/** The secrets wrangler.toml requires, created at first use; .dev.vars gets them too, for `npx wrangler dev`. */
export function devSecrets(persist) {
  const file = stateFiles(persist).secrets;
  if (fs.existsSync(file)) return readJson(file);
  const isDefault = persist === DEFAULT_PERSIST;
  const known = isDefault && fs.existsSync(DEV_VARS) ? parseEnv(fs.readFileSync(DEV_VARS, "utf8")) : {};
  const secrets = Object.fromEntries(config.secrets.required.map((name) => [name, known[name] ?? randomBytes(32).toString("hex")]));
  writeWhole(file, `${JSON.stringify(secrets, null, 2)}\n`);
  if (isDefault && !fs.existsSync(DEV_VARS)) {
    writeWhole(DEV_VARS, Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`).join(""));
  }
  return secrets;
}

export function readDevKeys(persist) {
  const file = stateFiles(persist).keys;
  return fs.existsSync(file) ? readJson(file) : undefined;
}

export function saveDevKeys(persist, keys) {
  writeWhole(stateFiles(persist).keys, `${JSON.stringify(keys, null, 2)}\n`);
}

function readJson(file) {
  return JSON.parse(fs.readFileSync(file, "utf8"));
}

/** Writes a file: complete or absent, and readable by nobody else. */
export function writeWhole(file, contents) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.new`, contents, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}
