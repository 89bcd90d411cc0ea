import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { TOPIC, bodies, finish, scenario } from './clients.js'

const TEXTS = Array.from({ length: 20 }, (_, i) => `${i} ${'abcdefgh'.repeat(100 * i)}`)

describe('a client that asks for compression', { concurrency: true }, () => {
  // Not deflate: nsqjs throws when such a connection ends, whatever the nsqd.
  scenario('gets its messages as they are: snappy', async (nsqd, clients) => {
    const consumer = clients.consume('channel_a', finish, { snappy: true })
    const producer = await clients.produce({ snappy: true })
    await producer.publish(...TEXTS)
    await producer.publishTo(TOPIC, TEXTS)
    await nsqd.awaitSettled(TOPIC, 'channel_a', 2 * TEXTS.length)
    assert.deepEqual(bodies(consumer.deliveries), [...TEXTS, ...TEXTS].sort())
  })
})
