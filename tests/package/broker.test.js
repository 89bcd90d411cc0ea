// The broker of the package, by its conveniences: what tests of other programs use.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ArgumentError, Broker, ClosedError, ProtocolError, StateError, version } from 'sansq'

const HOUR = 3_600_000

/** What a consumer of `topic`/`channel` is given: text, attempts and when. */
function collect(broker, topic, channel, options = {}) {
  const seen = []
  broker.subscribe(topic, channel, options, (message) => {
    seen.push([message.text, message.attempts, broker.now])
  })
  return seen
}

it('has a version', () => {
  assert.match(version(), /^\d+\.\d+\.\d+$/)
})

it('gives every channel each message once', () => {
  const broker = new Broker()
  const [a1, a2, b] = ['a', 'a', 'b'].map((channel) => collect(broker, 't', channel))
  broker.publishMany('t', ['0', '1', '2'])
  const texts = (...seen) => seen.flat().map(([text]) => text).sort()
  assert.deepEqual(texts(a1, a2), ['0', '1', '2'])
  assert.deepEqual(texts(b), ['0', '1', '2'])
})

it('lets an hour pass in no time, and delivers what is due then', () => {
  const broker = new Broker()
  const seen = collect(broker, 't', 'c')
  broker.publish('t', 'later', { defer: HOUR })
  broker.advance(HOUR - 1)
  assert.deepEqual(seen, [])
  const start = performance.now()
  broker.advance(1)
  assert.ok(performance.now() - start < 1000)
  assert.deepEqual(seen, [['later', 1, HOUR]])
})

it('delivers again what nobody answers', async () => {
  const broker = new Broker()
  const seen = []
  const told = []
  broker.on('timedOut', (event) => told.push([broker.now, event.topic, event.channel, event.ids.length]))
  broker.subscribe('t', 'c', { msgTimeout: 1500 }, (message) => {
    seen.push([message.attempts, broker.now])
    return message.attempts < 3 ? new Promise(() => {}) : undefined
  })
  broker.publish('t', 'forgotten')
  broker.advance(10_000)
  assert.deepEqual(seen, [[1, 0], [2, 1500], [3, 3000]])
  assert.deepEqual(told, [[1500, 't', 'c', 1], [3000, 't', 'c', 1]])
  assert.equal(broker.stats()[0].channels[0].timeout_count, 2)
})

it('requeues what a handler fails on, and says so', () => {
  const broker = new Broker()
  const errors = []
  const subscription = broker.subscribe('t', 'c', { requeueDelay: 250 }, (message) => {
    if (message.attempts < 3) throw new Error(`no ${message.attempts}`)
  })
  subscription.on('error', (error) => errors.push([error.message, broker.now]))
  broker.publish('t', 'hard')
  broker.advance(1000)
  assert.deepEqual(errors, [['no 1', 0], ['no 2', 250]])
  const [{ channels: [stats] }] = broker.stats()
  assert.deepEqual([stats.requeue_count, stats.depth, stats.in_flight_count, stats.deferred_count], [2, 0, 0, 0])
})

it('waits for handlers that are async', async () => {
  const broker = new Broker()
  const seen = []
  broker.subscribe('t', 'c', async (message) => {
    await null
    seen.push([message.text, broker.now])
  })
  broker.publish('t', 'a')
  broker.publish('t', 'b', { defer: 5000 })
  await broker.advanceAsync(60_000)
  assert.deepEqual(seen, [['a', 0], ['b', 5000]])
  assert.equal(broker.now, 60_000)
  assert.equal(broker.stats()[0].channels[0].in_flight_count, 0)
})

it('keeps a message in flight while its handler touches it', () => {
  const broker = new Broker()
  let held
  broker.subscribe('t', 'c', { msgTimeout: 1000 }, (message) => {
    held = message
    return new Promise(() => {})
  })
  broker.publish('t', 'slow')
  for (let second = 0; second < 5; second += 1) {
    broker.advance(900)
    held.touch()
  }
  assert.equal(held.attempts, 1)
  held.finish()
  held.finish()
  broker.advance(HOUR)
  assert.equal(broker.stats()[0].channels[0].timeout_count, 0)
})

it('pauses, empties and deletes', () => {
  const broker = new Broker()
  const told = []
  for (const event of ['topicCreated', 'channelCreated', 'channelDeleted', 'topicDeleted']) {
    broker.on(event, ({ topic, channel }) => told.push([event, topic, channel]))
  }
  const seen = collect(broker, 't', 'c')
  assert.equal(broker.pause('t', 'c'), true)
  broker.publish('t', 'waits')
  assert.deepEqual(seen, [])
  assert.equal(broker.unpause('t', 'c'), true)
  assert.equal(seen.length, 1)
  broker.create('t', 'idle')
  broker.publish('t', 'goes')
  assert.equal(broker.empty('t', 'idle'), true)
  assert.equal(broker.stats()[0].channels[1].depth, 0)
  assert.equal(broker.delete('t', 'idle'), true)
  assert.equal(broker.delete('t', 'idle'), false)
  assert.equal(broker.delete('t'), true)
  assert.deepEqual(broker.stats(), [])
  assert.deepEqual(told, [
    ['topicCreated', 't', undefined],
    ['channelCreated', 't', 'c'],
    ['channelCreated', 't', 'idle'],
    ['channelDeleted', 't', 'idle'],
    ['channelDeleted', 't', 'c'],
    ['topicDeleted', 't', undefined],
  ])
})

it('goes back to a snapshot, and begins another broker with it', () => {
  const broker = new Broker()
  broker.create('t', 'c')
  broker.publish('t', 'x')
  broker.advance(1000)
  const snapshot = broker.snapshot()
  const early = collect(broker, 't', 'c')
  broker.advance(1000)
  assert.equal(early.length, 1)
  assert.equal(broker.stats()[0].channels[0].depth, 0)
  broker.restore(snapshot)
  assert.equal(broker.now, 1000)
  assert.equal(broker.stats()[0].channels[0].depth, 1)
  assert.equal(broker.stats()[0].channels[0].client_count, 0)
  const other = new Broker(snapshot)
  assert.deepEqual(collect(other, 't', 'c'), [['x', 1, 1000]])
  assert.equal(broker.stats()[0].channels[0].depth, 1)
})

it('does the same when the same is done to it', () => {
  const run = (seed) => {
    const broker = new Broker({ seed })
    const ids = []
    broker.subscribe('t', 'c', { sampleRate: 50 }, (message) => void ids.push(message.id))
    for (let i = 0; i < 100; i += 1) broker.publish('t', `${i}`)
    return ids
  }
  assert.deepEqual(run(7), run(7))
  assert.notDeepEqual(run(7), run(8))
})

it('moves its overflow through its disk and keeps the order', () => {
  const broker = new Broker({ config: { memQueueSize: 2 } })
  broker.create('t', 'c')
  for (let i = 0; i < 10; i += 1) broker.publish('t', `${i}`)
  assert.equal(broker.stats()[0].channels[0].backend_depth, 8)
  const seen = collect(broker, 't', 'c')
  assert.deepEqual(seen.map(([text]) => text).join(''), '0123456789')
})

it('follows the clock when it is told to', async () => {
  const broker = new Broker()
  const stop = broker.followRealTime({ rate: 1000 })
  const arrived = new Promise((resolve) => broker.subscribe('t', 'c', () => resolve(broker.now)))
  broker.publish('t', 'in a minute', { defer: 60_000 })
  const waiting = setInterval(() => {}, 1000) // the broker alone keeps no process alive
  assert.ok((await arrived) >= 60_000)
  clearInterval(waiting)
  assert.throws(() => broker.advance(1), StateError)
  stop()
  broker.advance(1)
})

it('speaks the protocol on its connections', () => {
  const broker = new Broker()
  const connection = broker.connect()
  connection.send('  V2PUB t\n\0\0\0\x05hello')
  assert.equal(new TextDecoder().decode(connection.read()), '\0\0\0\x06\0\0\0\0OK')
  const seen = []
  let closed = false
  connection.on('data', (bytes) => seen.push(new TextDecoder().decode(bytes)))
  connection.on('close', () => (closed = true))
  connection.send('NONSENSE\n')
  assert.match(seen.join(''), /E_INVALID invalid command NONSENSE/)
  assert.deepEqual([closed, connection.closed], [true, true])
  connection.send('NOP\n')
})

it('answers what was sent before the end', () => {
  const broker = new Broker()
  const connection = broker.connect()
  connection.send('  V2PUB t\n\0\0\0\x05hello')
  connection.end()
  assert.equal(connection.closed, true)
  assert.equal(broker.stats()[0].message_count, 1)
})

it('throws what can be caught by class and code', () => {
  const broker = new Broker({ config: { maxMsgSize: 4 } })
  const code = (code) => (error) => error.code === code
  assert.throws(() => broker.publish('no topic', 'x'), code('E_BAD_TOPIC'))
  assert.throws(() => broker.publish('t', ''), ProtocolError)
  assert.throws(() => broker.publish('t', 'too long'), code('E_BAD_MESSAGE'))
  assert.throws(() => broker.publish('t', 'x', { defer: 2 * HOUR }), code('E_INVALID'))
  assert.throws(() => broker.subscribe('t', 'no channel', () => {}), code('E_BAD_CHANNEL'))
  assert.throws(() => broker.create('t', ''), code('E_BAD_CHANNEL'))
  assert.throws(() => new Broker({ config: { msgTimeOut: 1 } }), /there is no option msg-time-out/)
  assert.throws(() => new Broker({ config: { msgTimeout: 'soon' } }), ArgumentError)
  assert.throws(() => new Broker({ seed: 0.5 }), ArgumentError)
  for (const ms of [NaN, Infinity, -1]) assert.throws(() => broker.advance(ms), ArgumentError)
  broker.publish('t', 'good')
  broker.subscribe('t', 'c', () => assert.throws(() => broker.advance(1), code('E_REENTRANT')))
})

it('is over when it is freed', () => {
  const broker = new Broker()
  const connection = broker.connect()
  const snapshot = broker.snapshot()
  broker.free()
  broker.free()
  assert.equal(connection.closed, true)
  connection.send('NOP\n')
  assert.throws(() => broker.publish('t', 'x'), ClosedError)
  snapshot.free()
  assert.throws(() => new Broker(snapshot), ClosedError)
})

it('serves all listeners though one throws', () => {
  const broker = new Broker()
  const seen = collect(broker, 't', 'c')
  broker.on('topicCreated', () => {
    throw new Error('mine')
  })
  const other = collect(broker, 't', 'd')
  broker.publish('t', 'x')
  assert.deepEqual([seen.length, other.length], [1, 1])
  assert.throws(() => collect(broker, 'u', 'c'), /mine/)
})
