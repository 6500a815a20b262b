// The official TypeScript client as a program of its own: reads a job from stdin, prints what it saw. See tests/test_clients.py.
import { readFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const job = JSON.parse(readFileSync(0, "utf8"));
const options = job.mode === "legacy" ? {} : { versionNegotiation: { mode: job.mode === "auto" ? "auto" : { pin: job.mode } } };

async function outcome(promise, show) {
  try {
    return show(await promise);
  } catch (error) {
    return { error: { code: error.code, message: error.message, data: error.data ?? null } };
  }
}

const client = new Client({ name: "millimetric-test", version: "1.0.0" }, options);
const requestInit = { headers: { Authorization: `Bearer ${job.key}` } };
try {
  await client.connect(new StreamableHTTPClientTransport(new URL(job.url), { requestInit }));
} catch (error) {
  console.log(JSON.stringify({ refused: `${error.message} ${error.cause?.message ?? ""}` }));
  process.exit(0);
}
const report = {
  version: client.getNegotiatedProtocolVersion(),
  tools: (await client.listTools()).tools.map((tool) => tool.name),
  resources: (await client.listResources()).resources.map((one) => one.uri),
  templates: (await client.listResourceTemplates()).resourceTemplates.length,
  prompts: (await client.listPrompts()).prompts.map((prompt) => prompt.name),
  calls: [],
  reads: [],
  prompted: [],
  completed: [],
};
for (const [name, args] of job.calls) {
  const progress = [];
  const onprogress = (heard) => progress.push(heard.progress);
  const seen = await outcome(client.callTool({ name, arguments: args }, { onprogress }), ({ content, structuredContent, isError }) => ({
    text: content[0].text,
    structured: structuredContent ?? null,
    is_error: isError ?? false,
  }));
  report.calls.push({ ...seen, progress });
}
for (const uri of job.reads) {
  report.reads.push(await outcome(client.readResource({ uri }), ({ contents }) => ({ text: contents[0].text })));
}
for (const [name, args] of job.prompts ?? []) {
  report.prompted.push(await outcome(client.getPrompt({ name, arguments: args }), ({ messages }) => ({ text: messages[0].content.text })));
}
for (const [name, argument, value] of job.completions ?? []) {
  const params = { ref: { type: "ref/prompt", name }, argument: { name: argument, value } };
  report.completed.push(await outcome(client.complete(params), ({ completion }) => ({ values: completion.values })));
}
await client.close();
console.log(JSON.stringify(report));
