// A load generator: so many connections to one server on this machine, each sending its next request when it has the answer.
// Usage: load.mjs <plan, as JSON>   {"url", "connections", "seconds", "requests": [{"headers", "body"}, …]}
// Answers on stdout {"answered", "failed", "seconds", "latencies_ms": [p50, p90, p99, max]}
import http from "node:http";

const { url, connections, seconds, requests } = JSON.parse(process.argv[2]);
if (!["127.0.0.1", "localhost"].includes(new URL(url).hostname)) throw new Error("only servers on this machine are measured");
const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
const latencies = [];
const failures = {};
const began = performance.now();
const end = began + seconds * 1000;
let next = 0;

function send({ headers, body }) {
  return new Promise((resolve) => {
    const request = http.request(url, { method: "POST", agent, headers: { ...headers, "Content-Length": Buffer.byteLength(body) } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve(response.statusCode === 200 && text.includes("paid_share") ? null : `${response.statusCode} ${text.slice(0, 300)}`));
    });
    request.on("error", (error) => resolve(error.message));
    request.end(body);
  });
}

async function connection() {
  while (performance.now() < end) {
    const at = performance.now();
    const failure = await send(requests[next++ % requests.length]);
    if (failure === null) latencies.push(performance.now() - at);
    else failures[failure] = (failures[failure] ?? 0) + 1;
  }
}

await Promise.all(Array.from({ length: connections }, connection));
const elapsed = (performance.now() - began) / 1000;
agent.destroy();
latencies.sort((a, b) => a - b);
const at = (part) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))] ?? null;
const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
console.log(JSON.stringify({ answered: latencies.length, failed, failures, seconds: elapsed, latencies_ms: [at(0.5), at(0.9), at(0.99), at(1)] }));
