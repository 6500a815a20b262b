// The same tool on the official TypeScript SDK, as its own documentation has it: a Worker over the same D1 database.
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";

const DAY_MS = 86_400_000;

const input = z.object({
  from: z.string().describe("Start of the window, inclusive. ISO 8601."),
  to: z.string().describe("End of the window, exclusive. ISO 8601."),
  breakdown: z.enum(["source_medium"]).default("source_medium"),
  limit: z.number().int().min(1).max(200).default(50),
});

const output = z.object({
  rows: z.array(z.object({ source: z.string(), medium: z.string(), events: z.number(), uniques: z.number(), paid_share: z.number() })),
});

function serverFor(env, project) {
  const server = new McpServer({ name: "rival", version: "1.0.0" });
  server.registerTool(
    "top_sources",
    { title: "Top traffic sources", description: "Where events and visitors come from.", inputSchema: input, outputSchema: output },
    async ({ from, to, limit }) => {
      const { sql, parameters } = JSON.parse(env.STATEMENT);
      const values = { projects: JSON.stringify([project]), first: Date.parse(from) / DAY_MS, last: Date.parse(to) / DAY_MS - 1, limit: limit + 1 };
      const { results } = await env.DB.prepare(sql).bind(...parameters.map((name) => values[name])).all();
      const rows = results.slice(0, limit).map(({ source, medium, events, uniques, paid }) => ({ source, medium, events, uniques, paid_share: paid / events }));
      return { content: [{ type: "text", text: JSON.stringify(rows) }], structuredContent: { rows } };
    },
  );
  return server;
}

export default {
  fetch(request, env) {
    const project = Number(request.headers.get("x-project"));
    return createMcpHandler(() => serverFor(env, project)).fetch(request);
  },
};
