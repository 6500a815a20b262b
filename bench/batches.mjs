// Runs batches of statements beside the Worker under measurement, on its D1 and inside workerd: without Miniflare's proxy,
// which takes several milliseconds for every statement that it hands over. POST [{"sql", "params"}]; answers {"results": [{"rows", "meta"}]}
export default {
  async fetch(request, { DB }) {
    const statements = await request.json();
    const results = await DB.batch(statements.map(({ sql, params }) => DB.prepare(sql).bind(...params)));
    return Response.json({ results: results.map(({ results: rows, meta }) => ({ rows, meta })) });
  },
};
