// The package for browsers, workers and bundlers: loads its module before anything else can be called.

import { load } from './raw.js'

await load(new URL('../../sansq.wasm', import.meta.url))

export * from './api.js'
