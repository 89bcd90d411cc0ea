// The broker for Node, as an ES module. The wasm is a file of the package.

import { readFileSync } from 'node:fs'

import { module } from './raw.js'

module.loadSync(readFileSync(new URL('../../sansq.wasm', import.meta.url)))

export * from './api.js'
