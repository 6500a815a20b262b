// Packs a folder into one binary module for the host: the size of an index, the index as JSON, then the files.
import fs from "node:fs";
import path from "node:path";
import { ROOT } from "./setup.mjs";

export const packagesContainer = () => container(path.join(ROOT, "python_modules"), (name) => !name.startsWith("."));

/** What wrangler would upload from the folder of `main`: the Python files. */
export const sourceContainer = (folder) => container(folder, (name) => name.endsWith(".py"));

function container(folder, isWanted) {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter(isWanted)
    .sort();
  const files = names.map((name) => fs.readFileSync(path.join(folder, name)));
  const index = Buffer.from(JSON.stringify(names.map((name, i) => [name, files[i].length])));
  const size = Buffer.alloc(4);
  size.writeUInt32BE(index.length);
  return Buffer.concat([size, index, ...files]);
}
