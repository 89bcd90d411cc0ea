import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { TOPIC, bodies, finish, neverAnswer, scenario } from './clients.js'
import { isEmpty, until } from './nsqd.js'

describe('what survives', { concurrency: true }, () => {
  // In flight, queued, deferred or in a topic without channels.
  scenario('a SIGTERM: every message; readers only have to reconnect', async (nsqd, clients) => {
    let handler = neverAnswer
    const consumer = clients.consume('channel_a', (message) => handler(message), { maxInFlight: 1 })
    await nsqd.awaitConsumers(TOPIC, 'channel_a', 1)
    const before = await clients.produce()
    await before.publish('in flight')
    await consumer.deliveriesOf(1)
    await before.publish('queued 0', 'queued 1')
    await before.deferredPublish(500, 'deferred')
    await before.publishTo('no_channel_yet', 'waiting')
    await nsqd.stop()
    handler = finish
    await nsqd.start()

    await consumer.deliveriesOf(5)
    await nsqd.awaitChannel(TOPIC, 'channel_a', 'empty', isEmpty)
    const after = consumer.deliveries.slice(1)
    assert.deepEqual(bodies(after), ['deferred', 'in flight', 'queued 0', 'queued 1'])
    const producer = await clients.produce() // a writer does not reconnect
    await producer.publish('again')
    await consumer.deliveriesOf(6)
    await nsqd.createChannels('no_channel_yet', 'channel_a')
    const given = (stats) => stats.depth === 1
    await nsqd.awaitChannel('no_channel_yet', 'channel_a', 'given its message', given)
  })

  scenario('its last consumer: no ephemeral channel', async (nsqd, clients) => {
    const channel = 'watchers#ephemeral'
    const [first, second] = [clients.consume(channel), clients.consume(channel)]
    await nsqd.awaitConsumers(TOPIC, channel, 2)
    const producer = await clients.produce()
    await producer.publish('seen')
    await nsqd.awaitSettled(TOPIC, channel, 1)
    first.close()
    await nsqd.awaitConsumers(TOPIC, channel, 1)
    await producer.publish('seen too')
    await nsqd.awaitSettled(TOPIC, channel, 2)
    second.close()
    const gone = async () => (await nsqd.channel(TOPIC, channel)) === undefined
    await until(gone, () => 'the channel is still there')
  })
})
