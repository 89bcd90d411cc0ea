// The same runs natively and in wasm.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Simulation } from 'sansq/simulation'

import { nativeRuns } from './native.js'
import { deliveriesPerSecond, differing } from './runs.js'

it('runs in Node as it does natively', () => {
  const runs = nativeRuns()
  assert.ok(runs.length > Simulation.scenarios().length)
  assert.deepEqual(differing(Simulation, runs), [])
})

it('is not slow', (t) => {
  const rate = deliveriesPerSecond(Simulation)
  t.diagnostic(`${(rate / 1e6).toFixed(2)} M deliveries/s`)
  assert.ok(rate > 100_000, `${rate} deliveries/s`)
})
