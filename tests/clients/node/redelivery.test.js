import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { MSG_TIMEOUT, TOPIC, assertArrival, bodies, finish, neverAnswer, scenario } from './clients.js'

describe('a message comes again', { concurrency: true }, () => {
  scenario('from a failing handler, whose consumer backs off', async (nsqd, clients) => {
    const consumer = clients.consume('channel_a', (message) => {
      if (String(message.body) === 'hard' && message.attempts < 3) message.requeue(100)
      else message.finish()
    })
    const readyIs = (count) => (stats) => stats.clients[0]?.ready_count === count
    await nsqd.awaitChannel(TOPIC, 'channel_a', 'ready', readyIs(5))
    const producer = await clients.produce()
    await producer.publish('hard')
    await nsqd.awaitChannel(TOPIC, 'channel_a', 'backed off', readyIs(0))
    const deliveries = await consumer.deliveriesOf(3)
    const seen = deliveries.map((d) => `${d.body} ${d.attempts}`)
    assert.deepEqual(seen, ['hard 1', 'hard 2', 'hard 3'])
    const stats = await nsqd.awaitSettled(TOPIC, 'channel_a', 1)
    assert.deepEqual([stats.requeue_count, stats.timeout_count], [2, 0])
    await nsqd.awaitChannel(TOPIC, 'channel_a', 'ready again', readyIs(5))
  })

  scenario('from a silent handler, when its time is over', async (nsqd, clients) => {
    const handler = (message) => (message.attempts === 1 ? neverAnswer : finish)(message)
    const consumer = clients.consume('channel_a', handler)
    const producer = await clients.produce()
    const published = performance.now()
    await producer.publish('forgotten')
    const [first, second] = await consumer.deliveriesOf(2)
    assert.deepEqual([first.attempts, second.attempts], [1, 2])
    assertArrival(second, published, first.at, MSG_TIMEOUT)
    const stats = await nsqd.awaitSettled(TOPIC, 'channel_a', 1)
    assert.deepEqual([stats.requeue_count, stats.timeout_count], [0, 1])
  })

  scenario('from a killed consumer, to another one', async (nsqd, clients) => {
    const stuck = clients.stuckConsumer()
    await nsqd.awaitConsumers(TOPIC, 'channel_a', 1)
    const received = stuck.firstMessage()
    const producer = await clients.produce()
    await producer.publish('orphan')
    assert.equal(await received, 'orphan 1')
    const heir = clients.consume('channel_a')
    await nsqd.awaitConsumers(TOPIC, 'channel_a', 2)
    stuck.close()
    const [{ body, attempts }] = await heir.deliveriesOf(1)
    assert.deepEqual([body, attempts], ['orphan', 2])
    await nsqd.awaitSettled(TOPIC, 'channel_a', 1)
  })

  scenario('but not while its slow handler touches it', async (nsqd, clients) => {
    const consumer = clients.consume('channel_a', (message) => {
      let left = 12
      const timer = setInterval(() => {
        if (left-- > 0) return message.touch()
        clearInterval(timer)
        message.finish()
      }, MSG_TIMEOUT / 5)
    })
    const producer = await clients.produce()
    await producer.publish('slow')
    const stats = await nsqd.awaitSettled(TOPIC, 'channel_a', 1)
    assert.equal(stats.timeout_count, 0)
    assert.deepEqual(bodies(consumer.deliveries), ['slow'])
  })
})
