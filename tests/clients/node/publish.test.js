import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { TOPIC, assertArrival, bodies, scenario } from './clients.js'

const HELLOS = [0, 1, 2].map((i) => `hello xiaoxu ${i}`)

describe('publish', { concurrency: true }, () => {
  for (const order of ['consumers first', 'messages first']) {
    scenario(`reaches each channel once, shared by its consumers: ${order}`, async (nsqd, clients) => {
      await nsqd.createChannels(TOPIC, 'channel_a', 'channel_b')
      const producer = await clients.produce()
      if (order === 'messages first') await producer.publish(...HELLOS)
      const [a1, a2, b] = ['channel_a', 'channel_a', 'channel_b'].map((c) => clients.consume(c))
      if (order === 'consumers first') {
        await nsqd.awaitConsumers(TOPIC, 'channel_a', 2)
        await nsqd.awaitConsumers(TOPIC, 'channel_b', 1)
        await producer.publish(...HELLOS)
      }
      await nsqd.awaitSettled(TOPIC, 'channel_a', 3)
      await nsqd.awaitSettled(TOPIC, 'channel_b', 3)
      assert.deepEqual(bodies(a1.deliveries, a2.deliveries), HELLOS)
      assert.deepEqual(bodies(b.deliveries), HELLOS)
    })
  }

  scenario('of several messages in one command', async (nsqd, clients) => {
    const consumer = clients.consume('channel_a')
    const producer = await clients.produce()
    await producer.publishTo(TOPIC, HELLOS)
    await nsqd.awaitSettled(TOPIC, 'channel_a', 3)
    assert.deepEqual(bodies(consumer.deliveries), HELLOS)
  })

  scenario('with a delay arrives in time', async (nsqd, clients) => {
    const consumer = clients.consume('channel_a')
    await nsqd.awaitConsumers(TOPIC, 'channel_a', 1)
    const producer = await clients.produce()
    const delay = 700
    const asked = performance.now()
    await producer.deferredPublish(delay, 'later')
    const answered = performance.now()
    await producer.publish('now')
    const [now, later] = await consumer.deliveriesOf(2)
    assert.deepEqual([now.body, later.body], ['now', 'later'])
    assertArrival(later, asked, answered, delay)
    await nsqd.awaitSettled(TOPIC, 'channel_a', 2)
  })
})
