import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { TOPIC, bodies, finish, scenario } from './clients.js'

const TEXTS = Array.from({ length: 20 }, (_, i) => `${i} ${'abcdefgh'.repeat(100 * i)}`)

describe('a client that asks for compression', { concurrency: true }, () => {
  for (const options of [{ deflate: true, deflateLevel: 6 }, { snappy: true }]) {
    scenario(`gets its messages as they are: ${Object.keys(options)[0]}`, async (nsqd, clients) => {
      const consumer = clients.consume('channel_a', finish, options)
      const producer = await clients.produce(options)
      await producer.publish(...TEXTS)
      await producer.publishTo(TOPIC, TEXTS)
      await nsqd.awaitSettled(TOPIC, 'channel_a', 2 * TEXTS.length)
      assert.deepEqual(bodies(consumer.deliveries), [...TEXTS, ...TEXTS].sort())
    })
  }
})
