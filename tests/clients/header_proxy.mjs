// Adds one header to every request on its way to a local server: the conformance suite has no option for a key.
// node header_proxy.mjs http://127.0.0.1:8787 Authorization "Bearer rk_live_…"   prints its port, ends with its stdin
import http from "node:http";

const [target, name, value] = process.argv.slice(2);
const { hostname, port } = new URL(target);

// Everything else stays as it came: Host and Origin too, which the suite forges on purpose.
function headersFor(request) {
  const kept = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    if (request.rawHeaders[i].toLowerCase() !== name.toLowerCase()) kept.push(request.rawHeaders[i], request.rawHeaders[i + 1]);
  }
  return [...kept, name, value];
}

const server = http.createServer((request, response) => {
  const options = { hostname, port, method: request.method, path: request.url, headers: headersFor(request), setHost: false };
  const upstream = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(response);
  });
  upstream.on("error", (error) => (response.headersSent ? response.destroy() : response.writeHead(502).end(String(error))));
  response.on("close", () => upstream.destroy());
  request.pipe(upstream);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit(0));
