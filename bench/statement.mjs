// The statement of the tool, asked by a Worker in JavaScript: what the TypeScript server and the bare one have in common.
const DAY_MS = 86_400_000;

export async function topSources(env, project, { from, to, limit }) {
  const { sql, parameters } = JSON.parse(env.STATEMENT);
  const values = { projects: JSON.stringify([project]), first: Date.parse(from) / DAY_MS, last: Date.parse(to) / DAY_MS - 1, limit: limit + 1 };
  const { results } = await env.DB.prepare(sql).bind(...parameters.map((name) => values[name])).all();
  const rows = JSON.parse(results[0].bundle).slice(0, limit);
  return rows.map(([source, medium, events, uniques, paid]) => ({ source, medium, events, uniques, paid_share: paid / events }));
}
