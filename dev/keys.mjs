// npm run keys -- create|list|revoke|rotate …: manages keys in the local state, or with --remote in the deployed resources.
import path from "node:path";
import { applySchema, localStore, remoteStore } from "./apply.mjs";
import { DEFAULT_PERSIST, openStorage } from "./runtime.mjs";
import { runSession } from "./session.mjs";
import { devSecrets, saveDevKeys } from "./state.mjs";

// Takes this program's own options out; all others belong to dev/provision.py.
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

async function main({ remote, persist, rest }) {
  const session = { program: "provision.py", args: ["keys", ...rest] };
  // Cloudflare does not give secrets back: a command that hashes a key needs KEY_PEPPER_V1 from whoever set it.
  if (remote) return runSession({ ...session, env: {}, store: remoteStore() });
  const mf = await openStorage(persist);
  try {
    await applySchema(mf);
    const save = (keys) => saveDevKeys(persist, keys);
    return await runSession({ ...session, env: devSecrets(persist), store: await localStore(mf), saveDevKeys: save });
  } finally {
    await mf.dispose();
  }
}

try {
  process.exitCode = await main(parse(process.argv.slice(2)));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
