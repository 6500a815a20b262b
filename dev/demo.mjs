// Sends the demo events of dev/demo.py to the running Worker, as its clients would.
import { spawn } from "node:child_process";
import fs from "node:fs";
import readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { PYTHON, ROOT } from "./setup.mjs";
import { stateFiles, writeWhole } from "./state.mjs";

/** Loads the demo once; an interrupted load starts again with the same events, which the Worker recognises. */
export async function loadDemo({ mf, persist, keys, say }) {
  const { demoStarted, demoLoaded } = stateFiles(persist);
  if (fs.existsSync(demoLoaded)) return;
  if (!fs.existsSync(demoStarted)) writeWhole(demoStarted, String(Date.now()));
  const now = fs.readFileSync(demoStarted, "utf8");
  const secretKeys = new Map([keys, ...keys.others].flatMap(({ projects }) => projects.map(({ slug, sk }) => [slug, sk])));

  const child = spawn(PYTHON, ["dev/demo.py", "--now", now], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const exit = new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  const started = Date.now();
  let sent = 0;
  let told = 0;
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const batch = JSON.parse(line);
    await send(mf, batch, secretKeys.get(batch.project_slug));
    sent += batch.events.length;
    if (sent - told >= 5000) {
      say(`demo: ${sent} events …`);
      told = sent;
    }
  }
  if ((await exit) !== 0) throw new Error("dev/demo.py failed; the demo is incomplete and is continued at the next start.");
  fs.writeFileSync(demoLoaded, now);
  say(`demo: ${sent} events in ${Math.round((Date.now() - started) / 1000)} s`);
}

async function send(mf, { country, user_agent: userAgent, events }, key) {
  for (;;) {
    const response = await mf.dispatchFetch("http://localhost/v1/batch", {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json", "User-Agent": userAgent },
      body: JSON.stringify({ events }),
      cf: { country },
    });
    const text = await response.text();
    if (response.ok) return;
    if (response.status !== 429) throw new Error(`The demo events were refused: ${response.status} ${text}`);
    await sleep(1000 * (Number(response.headers.get("Retry-After")) || 1));
  }
}
