// nsqjs readers and writers that end with their test.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import nsq from 'nsqjs'

import { DEADLINE, LATE, Nsqd, SLACK, until } from './nsqd.js'

export const TOPIC = 'my_test_topic'
export const MSG_TIMEOUT = 1000 // the shortest that nsqd grants

const STUCK_CONSUMER = fileURLToPath(new URL('./stuck-consumer.js', import.meta.url))

/** The handler that is content with every message. */
export const finish = (message) => message.finish()
/** The handler that forgets its messages. */
export const neverAnswer = () => {}

/** A reader that writes down each message before the handler gets it. */
export class Consumer {
  deliveries = []
  #reader

  constructor(address, channel, handler = finish, options = {}) {
    this.#reader = new nsq.Reader(TOPIC, channel, {
      nsqdTCPAddresses: [address],
      maxInFlight: 5,
      messageTimeout: MSG_TIMEOUT,
      maxBackoffDuration: 8, // a step is about 0.2 s
      lookupdPollInterval: 1, // also the reconnect interval
      ...options,
    })
    this.#reader.on('error', () => {}) // a lost connection; the reader connects again
    this.#reader.on('message', (message) => {
      const { attempts } = message
      this.deliveries.push({ body: message.body.toString(), attempts, at: performance.now() })
      handler(message)
    })
    this.#reader.connect()
  }

  /** The deliveries once there are at least `count`. */
  async deliveriesOf(count) {
    const missing = () => `${this.deliveries.length} of ${count} deliveries`
    await until(() => this.deliveries.length >= count, missing)
    return this.deliveries
  }

  close() {
    this.#reader.close()
  }
}

/** A writer whose calls return when nsqd has answered OK. */
export class Producer {
  #writer
  #lost = null

  static async connect(address, options = {}) {
    const [host, port] = address.split(':')
    const producer = new Producer()
    producer.#writer = new nsq.Writer(host, Number(port), options)
    producer.#writer.on('error', (error) => (producer.#lost = error))
    producer.#writer.connect()
    await until(() => producer.#writer.ready, () => `the writer is not connected: ${producer.#lost}`)
    return producer
  }

  /** Sends each body with a PUB of its own. */
  async publish(...bodies) {
    for (const body of bodies) await this.publishTo(TOPIC, body)
  }

  /** Sends one body with PUB, several with one MPUB. */
  publishTo(topic, bodies) {
    return promisify(this.#writer.publish.bind(this.#writer))(topic, bodies)
  }

  deferredPublish(delay, body) {
    return promisify(this.#writer.deferPublish.bind(this.#writer))(TOPIC, [body], delay)
  }

  close() {
    this.#writer.close()
  }
}

/** A reader in a process of its own, which tells of its first message and never answers it. */
export class StuckConsumer {
  #process

  constructor(address) {
    this.#process = fork(STUCK_CONSUMER, [address])
  }

  async firstMessage() {
    const [line] = await once(this.#process, 'message', { signal: AbortSignal.timeout(DEADLINE) })
    return line
  }

  close() {
    this.#process.kill('SIGKILL')
  }
}

/** A test with clients and an nsqd of its own, which is started with `flags`. */
export function scenario(name, body, flags) {
  it(name, async (t) => {
    const nsqd = await Nsqd.start(t, flags)
    try {
      await body(nsqd, new Clients(t, nsqd))
    } catch (error) {
      t.diagnostic(`nsqd wrote:\n${nsqd.log.join('\n')}`)
      throw error
    }
  })
}

/** Opens the clients of test `t` and closes them with it. */
class Clients {
  #t
  #nsqd

  constructor(t, nsqd) {
    this.#t = t
    this.#nsqd = nsqd
  }

  consume(channel, handler, options) {
    return this.#keep(new Consumer(this.#nsqd.tcp, channel, handler, options))
  }

  async produce(options) {
    return this.#keep(await Producer.connect(this.#nsqd.tcp, options))
  }

  stuckConsumer() {
    return this.#keep(new StuckConsumer(this.#nsqd.tcp))
  }

  #keep(client) {
    this.#t.after(() => client.close())
    return client
  }
}

/** The bodies of deliveries in order, because messages come in no promised order. */
export function bodies(...deliveries) {
  return deliveries.flat().map((d) => d.body).sort()
}

/**
 * A message came when its delay was over and not much later. When nsqd began to count is known only
 * as between two moments on this side of the socket.
 */
export function assertArrival(delivery, after, before, delay) {
  assert.ok(delivery.at >= after + delay - SLACK, `${delivery.body} came too early`)
  assert.ok(delivery.at <= before + delay + LATE, `${delivery.body} came too late`)
}
