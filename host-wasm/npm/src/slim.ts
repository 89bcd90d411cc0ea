// The package for who loads the module otherwise: `await init(...)` first, with the module, its bytes, or where it is.

import { load, loadSync, type WasmSource } from './raw.js'

/** Loads the module; the second time does nothing. `import url from 'sansq/sansq.wasm?url'` is how Vite names it. */
export function init(source: WasmSource | PromiseLike<WasmSource>): Promise<void> {
  return load(source)
}

/** As {@link init}, at once. Browsers allow that in workers only. */
export function initSync(module: WebAssembly.Module | BufferSource): void {
  loadSync(module)
}

export * from './api.js'
export type { WasmSource } from './raw.js'
