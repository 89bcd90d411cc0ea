// The simulator for Node, by require(). The wasm is a file of the package.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { module } from './raw.js'

module.loadSync(readFileSync(join(__dirname, '../../../simulation.wasm')))

export * from './api.js'
