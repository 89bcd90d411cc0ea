// Bodies of 1 byte to 5 MB, one message at a time or thousands, to one connection or many.

import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { TOPIC, finish, scenario } from './clients.js'
import { until } from './nsqd.js'

/** Far more than a link needs on a busy machine, and far less than a heartbeat, in ms. */
const LONGEST_GAP = 5000
const FLAGS = ['-max-msg-size', '6000000', '-max-body-size', '64000000']

const LOADS = [
  [1, 3000, 2500, 1],
  [1, 300, 1, 1],
  [1448, 2000, 200, 1],
  [1448, 1000, 1, 20],
  [65_536, 100, 10, 1],
  [200_000, 20, 1, 1],
  [200_000, 40, 2500, 4],
  [5 << 20, 4, 2, 1],
]

// As long as consumers finish what they get they never wait for the next. Heartbeats are rare, so that none of them hides a
// connection that sleeps.
describe('bodies of any size', { concurrency: 4 }, () => {
  for (const [size, count, maxInFlight, consumers] of LOADS) {
    const exchange = async (nsqd, clients) => {
      await nsqd.createChannels(TOPIC, 'channel_a')
      const producer = await clients.produce()
      for (let left = count; left > 0; left -= 10) {
        await producer.publishTo(TOPIC, Array(Math.min(left, 10)).fill('.'.repeat(size)))
      }
      const options = { maxInFlight, messageTimeout: 60_000, heartbeatInterval: 50 }
      const began = performance.now()
      const opened = Array.from({ length: consumers }, () => clients.consume('channel_a', finish, options))
      const deliveries = () => opened.flatMap((consumer) => consumer.deliveries)
      const missing = () => `${deliveries().length} of ${count} deliveries`
      await until(() => deliveries().length === count, missing)
      const times = [began, ...deliveries().map((d) => d.at)].sort((a, b) => a - b)
      const gaps = times.slice(1).map((time, index) => time - times[index])
      assert.ok(Math.max(...gaps) < LONGEST_GAP, `nothing came for ${Math.max(...gaps)} ms`)
      for (const { body, attempts } of deliveries()) assert.deepEqual([body.length, attempts], [size, 1])
      await nsqd.awaitSettled(TOPIC, 'channel_a', count)
    }
    scenario(`${size} bytes, ${maxInFlight} in flight, ${consumers} consumers`, exchange, FLAGS)
  }
})
