// The broker for browsers, workers and bundlers: loads its module before anything else can be called.

import { module } from './raw.js'

await module.load(new URL('../../sansq.wasm', import.meta.url))

export * from './api.js'
