// Writes bound parameters into SQL text as literals, for the places that take no parameters.

// Text, quoted names and comments, which may contain a question mark; or a parameter, with or without its number.
const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|\?(\d*)/g;

/** {sql: "… ?1 … ?2", params: […]} → the same statement without parameters. */
export function inlineParameters({ sql, params = [] }) {
  let next = 0;
  return sql.replace(TOKEN, (token, number) => {
    if (number === undefined) return token;
    const index = number === "" ? next : Number(number) - 1;
    if (!(index in params)) throw new Error(`No value for parameter ${token} of: ${sql}`);
    next = index + 1;
    return literal(params[index]);
  });
}

function literal(value) {
  if (value === null) return "NULL";
  if (typeof value === "boolean") return value ? "1" : "0";
  if (Number.isSafeInteger(value)) return String(value);
  if (typeof value === "string" && !value.includes("\0")) return `'${value.replaceAll("'", "''")}'`;
  throw new Error(`Cannot be written as SQL: ${JSON.stringify(value)}`);
}
