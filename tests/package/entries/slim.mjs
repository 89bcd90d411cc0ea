import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { Broker, Simulation, init } from 'sansq/slim'

assert.throws(() => new Broker(), { code: 'E_NOT_INITIALISED' })
await init(readFile(new URL(import.meta.resolve('sansq/sansq.wasm'))))

const broker = new Broker()
broker.subscribe('t', 'c', (message) => console.log(message.text))
broker.publish('t', 'hello')
broker.free()
const simulation = new Simulation({ scenario: 'first-message' })
simulation.runUntil(5000)
console.log(simulation.now)
