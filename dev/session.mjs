// Runs a Python program that decides what to change and lets it read and change a store, by JSON lines.
//
//   it prints {"query": [{"sql": "… ?1", "params": [1]}]}  and reads  {"rows": [[{…}, …]]}, one list per statement
//   it prints {"apply": {"d1": [{"sql", "params"}], "kv": [{"key", "value", "metadata"?, "expiration"?}], "dev_keys"?: {…}}}
//                                                          and reads  {"ok": true}
//   it prints {"print": "text"}                            and reads  nothing
//
// A line that is no JSON object (the help of a command) is printed. A request that fails is answered {"error": "why"}.
// The program's stderr and exit code are passed on.
import { spawn } from "node:child_process";
import readline from "node:readline";
import { PYTHON, ROOT } from "./setup.mjs";

/** Runs `dev/<program> <args…>` against the store; resolves to its exit code. `saveDevKeys` takes dev_keys. */
export async function runSession({ program, args, env, store, saveDevKeys }) {
  const child = spawn(PYTHON, [`dev/${program}`, ...args], { cwd: ROOT, env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] });
  const exit = new Promise((resolve, reject) => child.on("error", reject).on("close", (code) => resolve(code ?? 1)));
  child.stdin.on("error", () => {}); // it may exit without reading the last answer
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const message = line.startsWith("{") ? JSON.parse(line) : { print: line };
    if ("print" in message) {
      console.log(message.print);
      continue;
    }
    const answer = await answerTo(message, store, saveDevKeys).catch((error) => ({ error: error.message }));
    child.stdin.write(`${JSON.stringify(answer)}\n`);
  }
  return exit;
}

async function answerTo({ query, apply }, store, saveDevKeys) {
  if (query) return { rows: await store.query(query) };
  if (!apply) throw new Error("expected one of: query, apply, print");
  await store.apply(apply);
  if (apply.dev_keys) await saveDevKeys(apply.dev_keys);
  return { ok: true };
}
