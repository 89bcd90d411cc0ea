// A page that uses the package: what it does is in `window.done`.

import { Broker } from 'sansq'
import { SansqError, Simulation } from 'sansq/simulation'
import { deliveriesPerSecond, differing } from '../runs.js'

function conveniences() {
  const broker = new Broker()
  const seen = []
  broker.subscribe('t', 'c', (message) => void seen.push([message.text, broker.now]))
  broker.publish('t', 'in an hour', { defer: 3_600_000 })
  broker.advance(3_600_000)
  broker.free()
  return seen
}

function refusal() {
  try {
    return new Simulation({ scenario: 'none' })
  } catch (error) {
    return [error instanceof SansqError, error.code]
  }
}

window.use = (runs) => ({
  seen: conveniences(),
  refusal: refusal(),
  differing: differing(Simulation, runs),
  rate: deliveriesPerSecond(Simulation),
})
document.title = 'ready'
