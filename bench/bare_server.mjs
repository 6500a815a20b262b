// What a Worker in JavaScript takes for the statement alone: no protocol, no schema, no key. What ours takes beyond it is ours.
const DAY_MS = 86_400_000;

export default {
  async fetch(request, env) {
    const { params } = await request.json();
    const { from, to, limit } = params.arguments;
    const { sql, parameters } = JSON.parse(env.STATEMENT);
    const values = { projects: `[${request.headers.get("x-project")}]`, first: Date.parse(from) / DAY_MS, last: Date.parse(to) / DAY_MS - 1, limit: limit + 1 };
    const [{ results }] = await env.DB.batch([env.DB.prepare(sql).bind(...parameters.map((name) => values[name]))]);
    const rows = results.slice(0, limit).map(({ source, medium, events, uniques, paid }) => ({ source, medium, events, uniques, paid_share: paid / events }));
    return Response.json({ result: { content: [{ text: JSON.stringify(rows) }] } });
  },
};
