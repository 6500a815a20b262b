// npm run script: makes src/web/browser_script_text.py, which ships, from src/web/browser_script.js, which people read.
// With --check it only compares the two.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { ROOT } from "./setup.mjs";

const SOURCE = path.join(ROOT, "src/web/browser_script.js");
const TEXT = path.join(ROOT, "src/web/browser_script_text.py");
const LINE = 96;

// The esbuild that the pinned wrangler brings, so that the result is the same on every machine.
const { transformSync } = createRequire(createRequire(import.meta.url).resolve("wrangler"))("esbuild");

function pythonModule(script) {
  const lines = [];
  for (let at = 0; at < script.length; at += LINE) lines.push(`    ${pythonLiteral(script.slice(at, at + LINE))}\n`);
  return `"""The browser script as it is served. Made by \`npm run script\` from browser_script.js; do not edit."""

from typing import Final

SCRIPT: Final = (
${lines.join("")})
`;
}

// As `ruff format` writes it: in double quotes, unless single ones need fewer escapes.
function pythonLiteral(text) {
  const count = (mark) => text.split(mark).length - 1;
  const quote = count('"') > count("'") ? "'" : '"';
  return quote + text.replaceAll("\\", "\\\\").replaceAll(quote, `\\${quote}`).replaceAll("\n", "\\n") + quote;
}

const { code } = transformSync(fs.readFileSync(SOURCE, "utf8"), { minify: true, target: "es2019", charset: "ascii" });
const made = pythonModule(code);
if (!process.argv.includes("--check")) fs.writeFileSync(TEXT, made);
else if (fs.readFileSync(TEXT, "utf8") !== made) {
  console.error("src/web/browser_script_text.py is not what browser_script.js gives: npm run script");
  process.exitCode = 1;
}
