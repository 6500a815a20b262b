// The same tool on the official TypeScript SDK, as its own documentation has it: a Worker over the same D1 database.
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { topSources } from "./statement.mjs";

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
    async (asked) => {
      const rows = await topSources(env, project, asked);
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
