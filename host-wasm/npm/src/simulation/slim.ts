// The simulator for who loads its module otherwise: `await init(...)` first, with the module, its bytes, or where it is.

import type { WasmSource } from '../module.js'
import { module } from './raw.js'

/** Loads the module; the second time does nothing. `import url from 'sansq/simulation.wasm?url'` is how Vite names it. */
export function init(source: WasmSource | PromiseLike<WasmSource>): Promise<void> {
  return module.load(source)
}

/** As {@link init}, at once. Browsers allow that in workers only. */
export function initSync(source: WebAssembly.Module | BufferSource): void {
  module.loadSync(source)
}

export * from './api.js'
export type { WasmSource } from '../module.js'
