// What becomes of a panic in Rust. SANSQ_PANICS is the directory of a copy of the package whose wasm has a call that panics.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { pathToFileURL } from 'node:url'

const at = (path) => new URL(`dist/esm/${path}`, `${pathToFileURL(process.env.SANSQ_PANICS)}/`).href
const { Broker, SansqPanic, version } = await import(at('index-node.js'))
const { Simulation } = await import(at('simulation/index-node.js'))
const { module } = await import(at('raw.js'))
const { panic_here } = await import(at('generated/broker.js'))
const panic = () => module.guard(panic_here)

it('is an error with its cause; what was there is lost and says so; new things work', () => {
  const broker = new Broker()
  const simulation = new Simulation({ scenario: 'first-message' })
  const snapshot = broker.snapshot()
  assert.throws(panic, (error) => {
    const trap = error.cause
    return error instanceof SansqPanic && error.code === 'E_PANIC' && trap instanceof WebAssembly.RuntimeError
  })
  for (const use of [
    () => broker.publish('t', 'x'),
    () => broker.stats(),
    () => broker.advance(1),
    () => new Broker(snapshot),
  ]) {
    assert.throws(use, (error) => error instanceof SansqPanic && /earlier panic/.test(error.message))
  }
  for (const lost of [broker, snapshot]) lost.free()
  // It lives in a module of its own.
  assert.equal(simulation.fork().runSteps(1), 1)

  const fresh = new Broker()
  const seen = []
  fresh.subscribe('t', 'c', (message) => void seen.push(message.text))
  fresh.publish('t', 'works')
  assert.deepEqual(seen, ['works'])
  assert.match(version(), /^\d/)
})

it('can happen again', () => {
  const broker = new Broker()
  for (let time = 0; time < 2; time += 1) assert.throws(panic, { code: 'E_PANIC' })
  assert.throws(() => broker.stats(), SansqPanic)
  assert.equal(new Broker().now, 0)
})
