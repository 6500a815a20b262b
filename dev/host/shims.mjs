// Makes workerd look like the web worker stock Pyodide expects; imported before Pyodide, because Pyodide looks at import time.
import { env } from "cloudflare:workers";
import interpreter from "pyodide.asm.wasm";

// Where Pyodide believes it was downloaded from. Nothing is ever fetched from there.
export const INDEX_URL = "https://pyodide.invalid/";

// Newer compatibility dates define `process`, and Pyodide would take itself for Node.
globalThis.process = undefined;
globalThis.location ??= new URL(INDEX_URL);
globalThis.addEventListener ??= () => {};

// Pyodide loads its own files with fetch: the standard library comes from disk, the interpreter is embedded in this Worker.
const fetchOutside = globalThis.fetch;
globalThis.fetch = (input, options) => {
  const url = String(input?.url ?? input);
  if (!url.startsWith(INDEX_URL)) return fetchOutside(input, options);
  return url.endsWith(".wasm") ? Promise.resolve(new Response()) : env.DEV_IMAGE.fetch(url);
};

// workerd compiles WebAssembly from bytes only through the unsafe-eval binding.
const { Module, instantiate } = WebAssembly;
const compile = (source) => (source instanceof Module ? source : env.DEV_UNSAFE_EVAL.newWasmModule(source));
WebAssembly.Module = new Proxy(Module, { construct: (_, [source]) => compile(source) });
WebAssembly.compile = async (source) => compile(source);
WebAssembly.instantiate = async (source, imports) => {
  const module = compile(source);
  const instance = await instantiate(module, imports);
  return source instanceof Module ? instance : { module, instance };
};
WebAssembly.instantiateStreaming = async (_response, imports) => ({
  module: interpreter,
  instance: await instantiate(interpreter, imports),
});
