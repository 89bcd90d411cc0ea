// The broker on a TCP port. What client libraries make of it is seen by their own suites, which `nsqd.js` serves.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { it } from 'node:test'
import nsq from 'nsqjs'
import { Broker } from 'sansq'
import { listen } from 'sansq/node'

it('serves an unmodified client, and an hour passes when the test says so', async (t) => {
  const listener = await listen({ realTime: false })
  t.after(() => listener.close())
  const reader = new nsq.Reader('orders', 'mail', { nsqdTCPAddresses: [listener.address], maxInFlight: 5 })
  const arrived = once(reader, 'message')
  reader.connect()
  await once(reader, 'nsqd_connected')
  listener.broker.publish('orders', 'in an hour', { defer: 3_600_000 })
  const start = performance.now()
  await listener.advance(3_600_000) // the client answers its heartbeats on the way
  const [message] = await arrived
  assert.equal(message.body.toString(), 'in an hour')
  assert.ok(performance.now() - start < 5000)
  message.finish()
  const closed = once(reader, 'nsqd_closed')
  reader.close()
  await closed
})

it('serves a broker that is there already', async (t) => {
  const broker = new Broker()
  const listener = await listen({ broker })
  t.after(() => listener.close())
  const socket = connect(listener.port)
  socket.end('  V2PUB t\n\0\0\0\x05hello')
  const [answer] = await once(socket, 'data')
  assert.equal(answer.toString(), '\0\0\0\x06\0\0\0\0OK')
  await once(socket, 'close')
  assert.equal(broker.stats()[0].message_count, 1)
  await listener.close()
  broker.publish('t', 'still there')
})

it('says so if the port is taken', async (t) => {
  const listener = await listen()
  t.after(() => listener.close())
  await assert.rejects(listen({ port: listener.port }), { code: 'EADDRINUSE' })
})

it('answers over HTTP as nsqd does', async (t) => {
  const listener = await listen({ http: true })
  t.after(() => listener.close())
  const call = async (path, body) => {
    const response = await fetch(`http://${listener.httpAddress}${path}`, body === undefined ? {} : { method: 'POST', body })
    return [response.status, await response.text()]
  }
  assert.deepEqual(await call('/ping'), [200, 'OK'])
  assert.deepEqual(await call('/channel/create?topic=t&channel=c', ''), [200, ''])
  assert.deepEqual(await call('/pub?topic=t', 'one'), [200, 'OK'])
  assert.deepEqual(await call('/mpub?topic=t', 'two\nthree'), [200, 'OK'])
  const stats = JSON.parse((await call('/stats?format=json'))[1])
  assert.equal(stats.topics[0].channels[0].depth, 3)
  assert.deepEqual(await call('/pub?topic=no%20topic', 'x'), [400, '{"message":"INVALID_TOPIC"}'])
  assert.deepEqual(await call('/pub', 'x'), [400, '{"message":"MISSING_ARG_TOPIC"}'])
  assert.deepEqual(await call('/topic/delete?topic=none', ''), [404, '{"message":"TOPIC_NOT_FOUND"}'])
  assert.deepEqual(await call('/nothing'), [404, '{"message":"NOT_FOUND"}'])
})

it('frees what a connection had when it breaks', async (t) => {
  const listener = await listen()
  t.after(() => listener.close())
  const socket = connect(listener.port)
  socket.write('  V2SUB t c\n')
  await once(socket, 'data')
  assert.equal(listener.broker.stats()[0].channels[0].client_count, 1)
  socket.resetAndDestroy()
  const deadline = performance.now() + 10_000
  while (listener.broker.stats()[0].channels[0].client_count > 0) {
    assert.ok(performance.now() < deadline, 'the broker does not notice')
    await new Promise((resolve) => setImmediate(resolve))
  }
})
