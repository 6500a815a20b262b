// Runs a program of the operator's on the local state (`--persist FOLDER`: another one), or with --remote on the deployed resources.
import path from "node:path";
import { applySchema, localStore, remoteStore } from "./apply.mjs";
import { DEFAULT_PERSIST, openStorage } from "./runtime.mjs";
import { runSession } from "./session.mjs";
import { devSecrets, saveDevKeys } from "./state.mjs";

// Takes the options of where out; all others belong to the Python program.
function parse(args) {
  const rest = [...args];
  const take = (name, count) => {
    const at = rest.indexOf(name);
    return at === -1 ? undefined : rest.splice(at, count);
  };
  const remote = take("--remote", 1) !== undefined;
  const [, persist = DEFAULT_PERSIST] = take("--persist", 2) ?? [];
  return { remote, persist: path.resolve(persist), rest };
}

/** Runs `dev/<program> <first…> <args…>`; `secrets`: whether it needs those of the local state. Sets the exit code. */
export async function operate({ program, first = [], secrets = false }) {
  try {
    process.exitCode = await run(program, first, secrets, parse(process.argv.slice(2)));
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  }
}

async function run(program, first, secrets, { remote, persist, rest }) {
  const session = { program, args: [...first, ...rest] };
  // Cloudflare does not give secrets back: a command that hashes a key needs KEY_PEPPER_V1 from whoever set it.
  if (remote) return runSession({ ...session, env: {}, store: remoteStore() });
  const mf = await openStorage(persist);
  try {
    await applySchema(mf);
    const save = (keys) => saveDevKeys(persist, keys);
    return await runSession({ ...session, env: secrets ? devSecrets(persist) : {}, store: await localStore(mf), saveDevKeys: save });
  } finally {
    await mf.dispose();
  }
}
