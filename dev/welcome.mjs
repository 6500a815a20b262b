// What the local server says once it runs: the keys, a first call, the client configuration.

const DAY_MS = 86_400_000;

// What the keys of an account open over MCP, by its plan.
const MCP_OF_PLAN = { free: "no MCP", pro: "/mcp", business: "/mcp and, with the account key, /mcp/account" };

export function printWelcome(port, keys) {
  const url = `http://localhost:${port}`;
  const { rk } = keys.projects[0];
  const blocks = [
    `Millimetric on ${url}`,
    ...[keys, ...keys.others].map(describeAccount),
    "Ask which sources bring visitors:",
    curl(url, rk),
    "Connect an MCP client:",
    clientConfig(url, rk),
  ];
  console.log(`\n${blocks.join("\n\n")}\n`);
}

function describeAccount({ account, projects }) {
  const lines = [`account ${account.id}, plan ${account.plan}: ${MCP_OF_PLAN[account.plan]}`];
  for (const { slug, pk, sk, rk } of projects) {
    lines.push(`  project ${slug}`);
    lines.push(`    browser, sends from allowed origins   ${pk}`);
    lines.push(`    server, sends, forgets, and MCP       ${sk}`);
    lines.push(`    read, REST and MCP                    ${rk}`);
  }
  if (account.plan === "business") lines.push(`  every project, MCP only                 ${account.ak}`);
  return lines.join("\n");
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
