// Sends streams of requests to one server on this machine and counts what comes back.
// Reads a plan from stdin, as JSON:
//   {"url", "streams": [{"name", "seconds", "rate" or "connections", "requests": [{"method", "path", "headers", "body"}, …],
//                        "at_once"?, "drip_ms"?, "after_ms"?}]}
// A stream with a `rate` begins so many requests a second whether or not the earlier ones are answered: what the server is
// late with counts, as it does for users. With `at_once` it waits while so many are unanswered: the requests are as many, and
// take longer. One with `connections` sends the next request when the last one is answered. With `drip_ms` a body is sent in
// 20 pieces with that pause between them. {id} in a body becomes a number of its own.
// Answers on stdout: {name: {"sent", "statuses": {"200": n, "timeout": n, …}, "errors": n, "failure": the first one's text, "seconds",
//                            "ms": [p50, p99, max], "p99_by_second": […]}}; an error is no 2xx, or an error inside it.
import http from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const TIMEOUT_MS = 10_000;
const PIECES = 20;

const { url, streams } = JSON.parse(await text(process.stdin));
const { hostname, port } = new URL(url);
if (hostname !== "127.0.0.1" && hostname !== "localhost") throw new Error("only servers on this machine are put under load");
const run = `${Date.now().toString(36)}-${process.pid}`;
let number = 0;

const found = await Promise.all(streams.map(async (stream) => [stream.name, await play(stream)]));
// Only when all of it is written: what a pipe does not take at once is lost with the process.
process.stdout.write(`${JSON.stringify(Object.fromEntries(found))}\n`, () => process.exit(0));

async function play(stream) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: stream.connections ?? Infinity });
  const outcome = { sent: 0, statuses: {}, errors: 0, failure: null, latencies: [], bySecond: [] };
  await sleep(stream.after_ms ?? 0);
  const began = performance.now();
  const end = began + stream.seconds * 1000;
  await (stream.rate ? atRate(stream, agent, outcome, began) : closed(stream, agent, outcome, began, end));
  const seconds = (performance.now() - began) / 1000;
  agent.destroy();
  const { sent, statuses, errors, failure } = outcome;
  const p99 = Array.from(outcome.bySecond, (one) => (one ? quantiles(one)[1] : null));
  return { sent, statuses, errors, failure, seconds, ms: quantiles(outcome.latencies), p99_by_second: p99 };
}

async function atRate(stream, agent, outcome, began) {
  const underWay = new Set();
  const requests = Math.round(stream.rate * stream.seconds);
  for (let place = 0; place < requests; place += 1) {
    const at = began + (place * 1000) / stream.rate;
    const wait = at - performance.now();
    if (wait > 0) await sleep(wait);
    while (underWay.size >= (stream.at_once ?? Infinity)) await Promise.race(underWay);
    const sent = one(stream, agent, outcome, began, at);
    underWay.add(sent);
    sent.finally(() => underWay.delete(sent));
  }
  await Promise.all(underWay);
}

async function closed(stream, agent, outcome, began, end) {
  const connection = async () => {
    while (performance.now() < end) await one(stream, agent, outcome, began, performance.now());
  };
  await Promise.all(Array.from({ length: stream.connections }, connection));
}

// `due` is when it should have been sent: a generator that falls behind does not flatter the server.
async function one(stream, agent, outcome, began, due) {
  const request = stream.requests[outcome.sent++ % stream.requests.length];
  const { status, failure } = await send(request, agent, stream.drip_ms);
  const ms = performance.now() - due;
  outcome.statuses[status] = (outcome.statuses[status] ?? 0) + 1;
  if (failure !== undefined) outcome.errors += 1;
  if (failure !== undefined && status !== 429) outcome.failure ??= failure;
  outcome.latencies.push(ms);
  (outcome.bySecond[Math.floor((due - began) / 1000)] ??= []).push(ms);
}

function send({ method, path, headers, body }, agent, dripMs) {
  return new Promise((resolve) => {
    const sent = Buffer.from(body.replaceAll("{id}", () => `${run}-${number++}`));
    const allHeaders = { ...headers, "Content-Length": sent.length };
    const request = http.request({ hostname, port, method, path, agent, headers: allHeaders }, async (response) => {
      const answer = await text(response).catch(() => "");
      clearTimeout(timer);
      const ok = response.statusCode >= 200 && response.statusCode < 300 && !/"isError":true|^\{"jsonrpc":"2\.0"(,"id":[^,{]+)?,"error"/.test(answer);
      resolve({ status: response.statusCode, failure: ok ? undefined : answer.slice(0, 300) });
    });
    const timer = setTimeout(() => request.destroy(new Error("timeout")), TIMEOUT_MS + (dripMs ?? 0) * PIECES);
    request.on("error", (error) => (clearTimeout(timer), resolve({ status: error.message === "timeout" ? "timeout" : error.code ?? "error", failure: error.message })));
    if (dripMs) drip(request, sent, dripMs);
    else request.end(sent);
  });
}

async function drip(request, sent, ms) {
  const size = Math.ceil(sent.length / PIECES);
  for (let start = 0; start < sent.length && !request.destroyed; start += size) {
    request.write(sent.subarray(start, start + size));
    await sleep(ms);
  }
  if (!request.destroyed) request.end();
}

function quantiles(latencies) {
  const sorted = Float64Array.from(latencies).sort();
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? null;
  return [at(0.5), at(0.99), at(1)];
}
