// The bindings as built for Node: a broker driven through bytes, in virtual time.
// SANSQ_WASM is the path of the package that `wasm-bindgen --target nodejs` made.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { it } from 'node:test'

const path = process.env.SANSQ_WASM
const { Broker, version } = createRequire(import.meta.url)(path)

const RESPONSE = 0
const ERROR = 1
const MESSAGE = 2

/** `text` with its length before it, as commands carry their bodies. */
function sized(text) {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(Buffer.byteLength(text))
  return Buffer.concat([length, Buffer.from(text)])
}

/** The frames that have come in: `[type, text]`, messages as `[type, attempts, id, body]`. */
function frames(broker, conn) {
  const bytes = Buffer.from(broker.received(conn))
  const found = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at)
    const type = bytes.readUInt32BE(at + 4)
    const data = bytes.subarray(at + 8, end)
    if (type === MESSAGE) {
      found.push([type, data.readUInt16BE(8), data.toString('latin1', 10, 26), data.toString('utf8', 26)])
    } else {
      found.push([type, data.toString()])
    }
    at = end
  }
  return found
}

/** A client that leaves its messages for a second at most, and hears no heartbeat for a minute. */
function client(broker) {
  const conn = broker.connect()
  broker.send(conn, Buffer.from('  V2IDENTIFY\n'))
  broker.send(conn, sized(JSON.stringify({ heartbeat_interval: 60_000, msg_timeout: 1000 })))
  assert.deepEqual(frames(broker, conn), [[RESPONSE, 'OK']])
  return conn
}

it('has a version', () => {
  assert.match(version(), /^\d+\.\d+\.\d+$/)
})

it('delivers a message, and again when its time is over', () => {
  const broker = new Broker(1)
  const producer = client(broker)
  const consumer = client(broker)
  broker.send(consumer, Buffer.from('SUB greetings reader\nRDY 1\n'))
  assert.deepEqual(frames(broker, consumer), [[RESPONSE, 'OK']])
  broker.send(producer, Buffer.concat([Buffer.from('PUB greetings\n'), sized('hello')]))
  assert.deepEqual(frames(broker, producer), [[RESPONSE, 'OK']])
  const [[type, attempts, id, body], ...rest] = frames(broker, consumer)
  assert.deepEqual([type, attempts, body, rest], [MESSAGE, 1, 'hello', []])

  broker.advance(999)
  assert.deepEqual(frames(broker, consumer), [])
  broker.advance(1000)
  assert.equal(broker.now(), 1000)
  assert.deepEqual(frames(broker, consumer), [[MESSAGE, 2, id, 'hello']])

  broker.send(consumer, Buffer.from(`FIN ${id}\n`))
  broker.advance(30_000)
  assert.deepEqual(frames(broker, consumer), [])
  assert.equal(broker.closed(consumer), false)
})

it('closes a connection that breaks the protocol', () => {
  const broker = new Broker(1)
  const conn = broker.connect()
  broker.send(conn, Buffer.from('  V2NONSENSE\n'))
  assert.deepEqual(frames(broker, conn).map(([type]) => type), [ERROR])
  assert.equal(broker.closed(conn), true)
})

it('gives what a consumer that went away had to another one, when its time is over', () => {
  const broker = new Broker(1)
  const [first, second] = [client(broker), client(broker)]
  broker.send(first, Buffer.concat([Buffer.from('PUB t\n'), sized('orphan'), Buffer.from('SUB t c\nRDY 1\n')]))
  assert.equal(frames(broker, first).at(-1)[0], MESSAGE)
  broker.send(second, Buffer.from('SUB t c\nRDY 1\n'))
  broker.disconnect(first)
  assert.deepEqual(frames(broker, second), [[RESPONSE, 'OK']])
  broker.advance(1000)
  const [[type, attempts, , body]] = frames(broker, second)
  assert.deepEqual([type, attempts, body], [MESSAGE, 2, 'orphan'])
  assert.equal(broker.closed(first), true)
})

it('does the same when the same is done to it', () => {
  const run = () => {
    const broker = new Broker(7)
    const conn = client(broker)
    broker.send(conn, Buffer.concat([Buffer.from('PUB t\n'), sized('x'), Buffer.from('SUB t c\nRDY 1\n')]))
    broker.advance(5000)
    return Buffer.from(broker.received(conn)).toString('hex')
  }
  assert.equal(run(), run())
})

it('does not accept a time that never comes', () => {
  const broker = new Broker(1)
  assert.throws(() => broker.advance(Infinity), /finite/)
  assert.throws(() => broker.advance(NaN), /finite/)
  broker.advance(-1)
  assert.equal(broker.now(), 0)
})

it('asks nothing of its environment', async () => {
  const module = await WebAssembly.compile(await readFile(path.replace(/\.js$/, '_bg.wasm')))
  const modules = WebAssembly.Module.imports(module).map((wanted) => wanted.module)
  assert.ok(!modules.includes('env'), modules.join())
})
