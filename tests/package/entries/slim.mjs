import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { Simulation, init as initSimulation } from 'sansq/simulation/slim'
import { Broker, init } from 'sansq/slim'

assert.throws(() => new Broker(), { code: 'E_NOT_INITIALISED' })
await init(readFile(new URL(import.meta.resolve('sansq/sansq.wasm'))))
assert.throws(() => new Simulation({ scenario: 'first-message' }), { code: 'E_NOT_INITIALISED', message: /sansq\/simulation\/slim/ })
await initSimulation(readFile(new URL(import.meta.resolve('sansq/simulation.wasm'))))

const broker = new Broker()
broker.subscribe('t', 'c', (message) => console.log(message.text))
broker.publish('t', 'hello')
broker.free()
const simulation = new Simulation({ scenario: 'first-message' })
simulation.runUntil(5000)
console.log(simulation.now)
