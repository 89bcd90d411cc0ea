// The simulator for browsers, workers and bundlers: loads its module before anything else can be called.

import { module } from './raw.js'

await module.load(new URL('../../../simulation.wasm', import.meta.url))

export * from './api.js'
