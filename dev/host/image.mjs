// The Worker that prepares, once per installation, what makes later starts fast; see dev/image.mjs.
import { loadPython, PACKAGES_DIR, readFile, writeContainer } from "./python.mjs";
import compileSource from "compile.py.txt";

// Standard modules most Workers import. In the snapshot they are there without being imported.
const PRELOADED =
  "abc, ast, asyncio, base64, collections.abc, contextlib, copy, dataclasses, datetime, decimal, email.parser, enum, " +
  "fractions, functools, hashlib, hmac, http.client, importlib.metadata, inspect, ipaddress, json, math, operator, " +
  "pathlib, platform, re, site, textwrap, types, typing, urllib.parse, uuid, warnings, zoneinfo";

async function snapshot() {
  const pyodide = await loadPython({ _makeSnapshot: true });
  pyodide.runPython(`import ${PRELOADED}`);
  return pyodide.makeMemorySnapshot();
}

// The packages again, with their bytecode.
async function packages(env) {
  const pyodide = await loadPython();
  writeContainer(pyodide.FS, await readFile(env.DEV_IMAGE, "sources.bin"), PACKAGES_DIR);
  const container = pyodide.runPython(compileSource)(PACKAGES_DIR);
  return container.toJs();
}

export default {
  async fetch(request, env) {
    const make = { "/snapshot.bin": snapshot, "/packages.bin": packages }[new URL(request.url).pathname];
    return new Response(await make(env));
  },
};
