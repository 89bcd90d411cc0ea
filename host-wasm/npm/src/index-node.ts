// The package for Node, as an ES module. The wasm is a file of the package.

import { readFileSync } from 'node:fs'

import { loadSync } from './raw.js'

loadSync(readFileSync(new URL('../../sansq.wasm', import.meta.url)))

export * from './api.js'
