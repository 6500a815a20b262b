// Where keys and projects are kept: reads and writes D1 and KV, in the local state or in the deployed resources.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { config } from "./runtime.mjs";
import { node22, ROOT } from "./setup.mjs";
import { inlineParameters } from "./sql.mjs";

const { unstable_splitSqlQuery: splitSql } = createRequire(import.meta.url)("wrangler");
const DATABASE = config.d1_databases[0];
const NAMESPACE = config.kv_namespaces[0];
const OUTPUT = { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 };

/** Creates what schema.sql names and does not exist yet. Throws where a table is there already, but is another. */
export async function applySchema(mf) {
  const db = await mf.getD1Database(DATABASE.binding);
  const statements = splitSql(fs.readFileSync(path.join(ROOT, "schema.sql"), "utf8"));
  await db.batch(statements.map((sql) => db.prepare(sql)));
  const { results } = await db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all();
  const stored = new Map(results.map(({ name, sql }) => [name, bare(sql)]));
  for (const statement of statements.map(bare)) {
    const name = statement.match(/^CREATE TABLE (\w+)/)?.[1];
    if (name && stored.get(name) !== statement) {
      throw new Error(`The table ${name} of the local state is of another version of schema.sql. \`--fresh\` deletes the state and begins anew.`);
    }
  }
}

// A statement without its comments and spaces, as SQLite remembers it.
function bare(sql) {
  return sql.replace(/--.*$/gm, "").replace("IF NOT EXISTS ", "").replace(/\s+/g, " ").replace(/ ?([(),]) ?/g, "$1").replace(/;? *$/, "").trim();
}

/**
 * A store is {query(statements) → rows of each, apply(changeSet)}; a statement is {sql, params}. Parameters are written
 * into the SQL, here as there: what local use proves also holds remotely, and integers stay integers.
 * A change set is {"d1": [statement…], "kv": [{key, value, metadata?, expiration?}…]}; D1 changes all or nothing, KV after it.
 */
export async function localStore(mf) {
  const db = await mf.getD1Database(DATABASE.binding);
  const kv = await mf.getKVNamespace(NAMESPACE.binding);
  const run = async (statements) => {
    if (statements.length === 0) return [];
    return db.batch(statements.map((statement) => db.prepare(inlineParameters(statement))));
  };
  return {
    query: async (statements) => (await run(statements)).map((result) => result.results),
    async apply({ d1 = [], kv: pairs = [] }) {
      await run(d1);
      for (const { key, value, metadata, expiration } of pairs) await kv.put(key, value, { metadata, expiration });
    },
  };
}

/** The deployed database and namespace, through wrangler and its login. */
export function remoteStore() {
  return {
    async query(statements) {
      const sql = statements.map(inlineParameters).join(";\n");
      const results = JSON.parse(wrangler("d1", "execute", DATABASE.database_name, "--remote", "--json", "--command", sql));
      return results.map((result) => result.results);
    },
    async apply({ d1 = [], kv: pairs = [] }) {
      if (d1.length > 0) {
        const sql = `${d1.map(inlineParameters).join(";\n")};\n`;
        withFile("changes.sql", sql, (file) => wrangler("d1", "execute", DATABASE.database_name, "--remote", "--yes", "--file", file));
      }
      if (pairs.length > 0) {
        const bulk = JSON.stringify(pairs);
        withFile("pairs.json", bulk, (file) => wrangler("kv", "bulk", "put", file, "--binding", NAMESPACE.binding, "--remote"));
      }
    },
  };
}

function wrangler(...args) {
  const result = spawnSync(node22(), ["node_modules/wrangler/bin/wrangler.js", ...args], { cwd: ROOT, ...OUTPUT, stdio: ["ignore", "pipe", "inherit"] });
  if (result.status !== 0) throw new Error(`wrangler ${args.slice(0, 2).join(" ")} failed:\n${result.stdout}`);
  return result.stdout;
}

function withFile(name, contents, use) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "millimetric-"));
  try {
    const file = path.join(folder, name);
    fs.writeFileSync(file, contents, { mode: 0o600 });
    use(file);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
