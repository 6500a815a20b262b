// What a Worker in JavaScript takes for the statement alone: no protocol, no schema, no key. What ours takes beyond it is ours.
import { topSources } from "./statement.mjs";

export default {
  async fetch(request, env) {
    const { params } = await request.json();
    const rows = await topSources(env, Number(request.headers.get("x-project")), params.arguments);
    return Response.json({ result: { content: [{ text: JSON.stringify(rows) }] } });
  },
};
