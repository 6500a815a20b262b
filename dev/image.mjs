// The image: a snapshot of the started interpreter and the packages with their bytecode. Made once, kept as a cache.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { ROOT } from "./setup.mjs";

const CACHE = path.join(ROOT, "node_modules/.cache/millimetric");
const MADE = ["snapshot.bin", "packages.bin"];

/**
 * The folder of the image for these inputs (files). `make(folder, name)` makes one of its files, as bytes, from what the
 * folder holds so far: the standard library and the plain packages.
 */
export async function pythonImage({ inputs, standardLibrary, packages, make }) {
  const hash = createHash("sha256");
  for (const file of [...inputs, standardLibrary]) hash.update(fs.readFileSync(file));
  const folder = path.join(CACHE, hash.digest("hex").slice(0, 16));
  if (fs.existsSync(folder)) return folder;
  const started = Date.now();
  console.error("preparing the Python image, once …");
  const unfinished = `${folder}.${process.pid}`;
  fs.mkdirSync(unfinished, { recursive: true });
  try {
    fs.copyFileSync(standardLibrary, path.join(unfinished, "python_stdlib.zip"));
    fs.writeFileSync(path.join(unfinished, "sources.bin"), container(packages));
    for (const name of MADE) fs.writeFileSync(path.join(unfinished, name), await make(unfinished, name));
    publish(unfinished, folder);
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
  console.error(`the Python image is ready after ${Math.round((Date.now() - started) / 1000)} s`);
  return folder;
}

// Another server may have been faster; its image is the same.
function publish(unfinished, folder) {
  try {
    fs.renameSync(unfinished, folder);
  } catch (error) {
    if (!fs.existsSync(folder)) throw error;
  }
}

// The format is described in dev/host/python.mjs.
function container(folder) {
  const names = fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
  const files = names.map((name) => fs.readFileSync(path.join(folder, name)));
  const index = Buffer.from(JSON.stringify(names.map((name, i) => [name, files[i].length])));
  const size = Buffer.alloc(4);
  size.writeUInt32BE(index.length);
  return Buffer.concat([size, index, ...files]);
}
