// Stock Pyodide inside workerd, and the files given to it.
import { INDEX_URL } from "./shims.mjs";
import createPyodideModule from "./pyodide.asm.mjs";
import { loadPyodide, version } from "./pyodide.mjs";

// The folders production uses.
export const SOURCE_DIR = "/session/metadata";
export const PACKAGES_DIR = `${SOURCE_DIR}/python_modules`;

export function loadPython(options) {
  return loadPyodide({
    indexURL: INDEX_URL,
    createPyodideModule,
    lockFileContents: { info: { abi_version: "2026_0", arch: "wasm32", version }, packages: {} },
    env: { HOME: "/session", PYTHONHASHSEED: "111" }, // the seed production uses
    ...options,
  });
}

export async function readFile(folder, name) {
  const response = await folder.fetch(`http://folder/${name}`);
  if (!response.ok) throw new Error(`Cannot read ${name}: ${response.status}`);
  return response.arrayBuffer();
}

export function writeFile(FS, path, bytes) {
  FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
  FS.writeFile(path, bytes);
}

/** A container is the length of its index (uint32), the index (JSON: [path, size] pairs), then the files in that order. */
export function writeContainer(FS, container, root) {
  const indexSize = new DataView(container).getUint32(0);
  const index = JSON.parse(new TextDecoder().decode(new Uint8Array(container, 4, indexSize)));
  let offset = 4 + indexSize;
  for (const [name, size] of index) {
    writeFile(FS, `${root}/${name}`, new Uint8Array(container, offset, size));
    offset += size;
  }
}
