import { readFileSync } from 'node:fs';

/**
 * Loads the WebAssembly module and gives it memory. One module serves every use (scanning requests, heads, queries):
 * an instance is the module's functions over one memory, and its module-level variables belong to the instance, not to
 * the memory. All memories are shared ones, so that a query thread can read a head that the ingest thread writes.
 */

const PAGE_BYTES = 65536;

/** wasm32 cannot address more: 4 GiB. */
export const MEMORY_BYTES_MAX = 65536 * PAGE_BYTES;

let compiled: WebAssembly.Module | null = null;

/** The compiled kernel; compiled once per thread, or once per process when handed over by `adoptKernelModule`. */
export function kernelModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('./kernel.wasm', import.meta.url)));
  return compiled;
}

/** Uses a module that another thread compiled and sent along, instead of compiling it again. */
export function adoptKernelModule(module: WebAssembly.Module): void {
  compiled = module;
}

/** A shared memory that can grow in place; only touched pages cost anything. Sizes in bytes, rounded up to pages. */
export function createMemory(initialBytes: number, maxBytes: number = MEMORY_BYTES_MAX): WebAssembly.Memory {
  return new WebAssembly.Memory({
    initial: Math.max(16, Math.ceil(initialBytes / PAGE_BYTES)),
    maximum: Math.min(65536, Math.max(16, Math.ceil(maxBytes / PAGE_BYTES))),
    shared: true,
  });
}

/** An instance over a memory. The caller names the exports it uses: `instantiate<CodecExports>(memory)`. */
export function instantiate<Exports>(memory: WebAssembly.Memory): Exports {
  return new WebAssembly.Instance(kernelModule(), { env: { memory } }).exports as Exports;
}
