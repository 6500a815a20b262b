// The Worker under measurement, on the local runtime with its own state: bench/ours.py starts it and talks to it by JSON lines.
//
//   {"d1": [{"sql", "params"}], "repeat": 20}  runs the statements so many times in one batch; answers {"results": [{"rows", "meta"}], "ms"}
//   {"batch": [{"sql", "params"}]}             runs the statements once, in workerd: quicker, and untimed; answers {"results": [{"rows", "meta"}]}
//   {"load": "batches.jsonl", "limit": 1000}   posts the batches of the file to /v1/batch; answers {"events", "batches", "refused", "seconds"}
//   {"stop": true}                             ends
//
// A request that fails is answered {"error": "why"}. Progress goes to stderr.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { applySchema, localStore } from "../dev/apply.mjs";
import { startWorker } from "../dev/runtime.mjs";
import { runSession } from "../dev/session.mjs";
import { ROOT } from "../dev/setup.mjs";
import { devSecrets } from "../dev/state.mjs";

const AT_ONCE = 4; // requests in flight; one at a time of each project, so that its events arrive in order
const READ_AHEAD = 64;

// What the Worker prints would stand among the answers; its line for each request is of no interest here.
const toCaller = process.stdout.write.bind(process.stdout);
process.stdout.write = (text) => /"event": ?"request"/.test(text) || process.stderr.write(text);

const [persist, ...projects] = process.argv.slice(2);
process.chdir(ROOT);
const secrets = devSecrets(persist);
const started = performance.now();
const batches = { name: "batches", modules: true, script: fs.readFileSync(path.join(ROOT, "bench/batches.mjs"), "utf8") };
const worker = await startWorker({ port: 0, persist, source: path.join(ROOT, "src"), bindings: secrets, quiet: true, beside: [batches] });
const { mf } = worker;
await applySchema(mf);
const keys = await keysOf(persist);
await worker.boot();
const d1 = await mf.getD1Database("DB");
say({ ready: { url: worker.url, keys, start_ms: performance.now() - started, workerd: Number(fs.readFileSync(process.env.DEV_WORKERD_PID_FILE, "utf8")) } });

for await (const line of readline.createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.stop) break;
  say(await answer(message).catch((error) => ({ error: String(error.stack ?? error) })));
}
await mf.dispose();
process.exit(0);

function say(message) {
  toCaller(`${JSON.stringify(message)}\n`);
}

function answer(message) {
  if (message.d1) return query(message.d1, message.repeat ?? 1);
  if (message.batch) return stored(message.batch);
  if (message.load) return load(message.load, message.limit ?? Infinity);
  throw new Error("expected one of: d1, batch, load, stop");
}

async function query(statements, repeat) {
  const prepared = statements.map(({ sql, params }) => d1.prepare(sql).bind(...params));
  const all = Array.from({ length: repeat }, () => prepared).flat();
  const began = performance.now();
  const results = await d1.batch(all);
  const ms = performance.now() - began;
  return { ms, results: results.slice(0, statements.length).map(({ results: rows, meta }) => ({ rows, meta })) };
}

async function stored(statements) {
  const storing = await mf.getWorker("batches");
  const response = await storing.fetch("http://batches/", { method: "POST", body: JSON.stringify(statements) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

// The account of the benchmark, made once per state.
async function keysOf(folder) {
  const file = path.join(folder, "bench-keys.json");
  if (!fs.existsSync(file)) {
    const names = projects.flatMap((name) => ["--project", name]);
    const found = await printed(["keys", "create-account", "--name", "Benchmark", "--plan", "business", ...names, "--json"]);
    fs.writeFileSync(file, found, { mode: 0o600 });
  }
  return JSON.parse(fs.readFileSync(file, "utf8"));
}

// What dev/provision.py prints: runSession writes it to the console.
async function printed(args) {
  const { log } = console;
  let text = "";
  console.log = (line) => (text += `${line}\n`);
  try {
    const code = await runSession({ program: "provision.py", args, env: secrets, store: await localStore(mf) });
    if (code !== 0) throw new Error(`dev/provision.py failed: ${text}`);
  } finally {
    console.log = log;
  }
  return text;
}

async function load(file, limit) {
  const chains = new Map();
  const inFlight = new Set();
  const outcome = { events: 0, batches: 0, refused: 0 };
  const began = performance.now();
  let told = began;
  let free = AT_ONCE;
  const waiting = [];
  const turn = async (work) => {
    if (free === 0) await new Promise((resolve) => waiting.push(resolve));
    else free--;
    try {
      return await work();
    } finally {
      if (waiting.length > 0) waiting.shift()();
      else free++;
    }
  };
  let read = 0;
  for await (const line of readline.createInterface({ input: fs.createReadStream(file) })) {
    if (read++ >= limit) break;
    const batch = JSON.parse(line);
    const after = chains.get(batch.project) ?? Promise.resolve();
    const sent = after.then(() => send(batch, turn, outcome)).then(() => {
      outcome.events += batch.count;
      outcome.batches += 1;
      if (performance.now() - told > 5000) {
        told = performance.now();
        console.error(`  ${outcome.events} events, ${Math.round((outcome.events / (told - began)) * 1000)} a second …`);
      }
    });
    chains.set(batch.project, sent);
    inFlight.add(sent);
    sent.finally(() => inFlight.delete(sent)).catch(() => {});
    if (inFlight.size >= READ_AHEAD) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  return { ...outcome, seconds: (performance.now() - began) / 1000 };
}

// A refusal for too many requests is waited out, as a client has to.
async function send({ project, country, user_agent: userAgent, body }, turn, outcome) {
  const key = keys.projects.find(({ slug }) => slug === project).sk;
  for (;;) {
    const response = await turn(async () => {
      const answer = await mf.dispatchFetch("http://localhost/v1/batch", {
        method: "POST",
        headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json", "User-Agent": userAgent },
        body,
        cf: { country },
      });
      return { status: answer.status, wait: Number(answer.headers.get("Retry-After")) || 1, text: await answer.text() };
    });
    if (response.status === 202) return;
    if (response.status !== 429) throw new Error(`a batch was refused: ${response.status} ${response.text}`);
    outcome.refused += 1;
    await sleep(1000 * response.wait);
  }
}
