// What the local server says once it runs: the keys, a first call, the client configuration.

const DAY_MS = 86_400_000;

export function printWelcome(port, keys) {
  const url = `http://localhost:${port}`;
  const lines = [`\nMillimetric on ${url} — account ${keys.account.id} (${keys.account.plan})\n`];
  for (const project of keys.projects) {
    lines.push(
      `project ${project.slug} (${project.id})`,
      `  browser ${project.pk}   sends events from its allowed origins`,
      `  server  ${project.sk}   sends and forgets events, reads over MCP`,
      `  read    ${project.rk}   reads, over REST and MCP`,
    );
  }
  if (keys.account.ak) lines.push("every project", `  account ${keys.account.ak}   reads, at ${url}/mcp/account`);
  const { rk } = keys.projects[0];
  lines.push("", "Ask which sources bring visitors:", "", curl(url, rk), "", "Connect an MCP client:", "", clientConfig(url, rk), "");
  console.log(lines.join("\n"));
}

function curl(url, rk) {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  const args = {
    from: new Date(today - 30 * DAY_MS).toISOString(),
    to: new Date(today + DAY_MS).toISOString(),
    breakdown: "source_medium",
    limit: 20,
  };
  const body = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "top_sources", arguments: args } };
  return `curl -s ${url}/mcp -H 'Authorization: Bearer ${rk}' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
}

function clientConfig(url, rk) {
  const server = { type: "http", transport: "http", url: `${url}/mcp`, headers: { Authorization: `Bearer ${rk}` } };
  return JSON.stringify({ mcpServers: { millimetric: server } }, null, 2);
}
