// A broker in virtual time: the class that tests hold.

import { Connection, type Carrier } from './connection.js'
import { Emitter } from './emitter.js'
import { ArgumentError, ClosedError, ProtocolError, StateError } from './errors.js'
import { bodies, bytesOf, command, FrameReader, hello, type Frame } from './frames.js'
import { Handle } from './module.js'
import { module, RawBroker } from './raw.js'
import { RealTime, type RealTimeOptions } from './real-time.js'
import type { TopicStats } from './stats.js'
import { Subscription, type MessageHandler, type SubscribeOptions } from './subscription.js'
import { milliseconds, seedOf } from './values.js'

/** Options of a broker: nsqd's flags. Times are milliseconds. What is left out is as nsqd has it. */
export interface BrokerConfig {
  /** 0..=1023, part of every message id. */
  nodeId?: number
  /** Messages in memory per topic and channel; more go to its disk, which is in memory too. Default 10,000. */
  memQueueSize?: number
  /** Time to answer a message, unless the client asks for another. Default 60,000. */
  msgTimeout?: number
  /** Longest time a client may ask for, and the longest that TOUCH can stretch a delivery. Default 900,000. */
  maxMsgTimeout?: number
  /** Bytes of the largest message. Default 1 MiB. */
  maxMsgSize?: number
  /** Bytes of the largest command body. Default 5 MiB. */
  maxBodySize?: number
  /** Longest deferral. Default 3,600,000. */
  maxReqTimeout?: number
  /** Longest heartbeat interval a client may ask for. Default 60,000. */
  maxHeartbeatInterval?: number
  /** Most messages in flight to one client. Default 2,500. */
  maxRdyCount?: number
  /** Most consumers of a channel; 0, the default, for no limit. */
  maxChannelConsumers?: number
  /** Time a client has to say `'  V2'`; 0 for any. Default 30,000. */
  magicTimeout?: number
  /** When a publish is answered. Default `accepted`. */
  publishAck?: 'accepted' | 'written' | 'synced'
}

/** What a new broker begins with. */
export interface BrokerOptions {
  /** Feeds all chance in it: same seed and same calls, same bytes. Default 1. */
  seed?: number | bigint
  /** nsqd's flags. */
  config?: BrokerConfig
  /** The wall-clock time at virtual time 0, which message timestamps and ids grow from. Default 2026-01-01T00:00:00Z. */
  startDate?: Date | number
}

/** How to publish. */
export interface PublishOptions {
  /** Milliseconds before the message may be delivered. Default 0. */
  defer?: number
}

/** Messages that moved without a client's doing. */
export interface MovedEvent {
  topic: string
  /** Undefined for the topic's own queue. */
  channel: string | undefined
  /** Message ids. */
  ids: string[]
}

/** What a broker tells of. Every event comes at its virtual time: {@link Broker.now} says which. */
export interface BrokerEvents {
  /** A topic came to be. */
  topicCreated: { topic: string }
  /** A topic is gone with all it had. */
  topicDeleted: { topic: string }
  /** A channel came to be. */
  channelCreated: { topic: string; channel: string }
  /** A channel is gone with all it had. */
  channelDeleted: { topic: string; channel: string }
  /** Messages were not answered in time and are queued again. */
  timedOut: MovedEvent
  /** Deferred messages are due and queued. */
  due: MovedEvent
  /** A full ephemeral queue dropped messages. */
  dropped: MovedEvent
  /** A consumer's sample rate left messages out. */
  sampledOut: MovedEvent
}

type RawEvent = { [E in keyof BrokerEvents]: { type: E } & BrokerEvents[E] }[keyof BrokerEvents]

/** A state of a broker to go back to. */
export class BrokerSnapshot {
  /** @internal */
  readonly handle: Handle<RawBroker>

  /** @internal */
  constructor(handle: Handle<RawBroker>) {
    this.handle = handle
  }

  /** Gives its memory back. */
  free(): void {
    this.handle.free()
  }
}

/**
 * An NSQ broker in memory: the core of the daemon, without sockets and without a clock.
 *
 * Time is virtual. It stands still until {@link advance} moves it; then timeouts, deferred messages and heartbeats happen at
 * their exact times, in order, and handlers run in between. {@link followRealTime} ties it to the clock instead.
 */
export class Broker extends Emitter<BrokerEvents> {
  readonly #handle: Handle<RawBroker>
  readonly #connections = new Map<number, Connection>()
  readonly #carrier: Carrier
  readonly #clock: RealTime
  #producer: { connection: Connection; frames: FrameReader } | undefined
  #pumping = false
  #advancing = false
  #freed = false

  constructor(options: BrokerOptions | BrokerSnapshot = {}) {
    super()
    this.#handle =
      options instanceof BrokerSnapshot
        ? new Handle(module, 'broker', () => options.handle.use((raw) => raw.clone()))
        : new Handle(module, 'broker', () => create(options))
    this.#carrier = this.#carrierOf()
    this.#clock = new RealTime({
      now: () => this.now,
      nextEventAt: () => this.nextEventAt(),
      runUntil: (ms) => this.#runUntil(ms),
    })
    if (options instanceof BrokerSnapshot) this.#disown()
  }

  /** Milliseconds of virtual time since the broker began. */
  get now(): number {
    return this.#handle.use((raw) => raw.now())
  }

  /** When something will happen by itself, in milliseconds of virtual time; undefined: never. */
  nextEventAt(): number | undefined {
    return this.#handle.use((raw) => raw.next_event_at())
  }

  /** Lets `ms` milliseconds pass. Everything that becomes due on the way happens at its time. */
  advance(ms: number): void {
    this.runUntil(this.now + milliseconds(ms))
  }

  /** Lets time pass until it is `ms`. A time already past is now. */
  runUntil(ms: number): void {
    milliseconds(ms)
    this.#begin()
    try {
      this.#runUntil(ms)
    } finally {
      this.#advancing = false
    }
  }

  /**
   * As {@link advance}, for handlers that are `async`: after each thing that happens they may go on as far as they can without
   * waiting for a timer or a socket of the machine.
   *
   * @param settled is awaited after each thing that happens, instead.
   */
  async advanceAsync(ms: number, settled: () => Promise<void> = turn): Promise<void> {
    const to = this.now + milliseconds(ms)
    this.#begin()
    try {
      await settled()
      while (this.#step(to)) await settled()
    } finally {
      this.#advancing = false
    }
  }

  /**
   * Ties virtual time to the clock, from where it is now. The returned function ends that.
   */
  followRealTime(options: RealTimeOptions = {}): () => void {
    if (!(this.#clock.rateOf(options) > 0)) throw new ArgumentError('rate must be a number above 0')
    return this.#clock.follow(options)
  }

  /** Opens a connection, which carries the protocol as bytes. */
  connect(): Connection {
    this.#clock.catchUp()
    const number = this.#handle.use((raw) => raw.connect())
    const connection = new Connection(number, this.#carrier)
    this.#connections.set(number, connection)
    this.#pump()
    return connection
  }

  /**
   * Publishes a message, text as UTF-8. The topic is created if it is missing.
   *
   * @throws {@link ProtocolError} with the broker's word: `E_BAD_TOPIC`, `E_BAD_MESSAGE` (empty or too large), `E_INVALID` (defer).
   */
  publish(topic: string, body: string | Uint8Array, options: PublishOptions = {}): void {
    const defer = Math.round(milliseconds(options.defer ?? 0))
    const [verb, words] = defer === 0 ? ['PUB', [word(topic)]] : ['DPUB', [word(topic), defer]]
    this.#ask(command(verb as string, words as (string | number)[], bytesOf(body)))
  }

  /** Publishes all of `messages` or none. */
  publishMany(topic: string, messages: (string | Uint8Array)[]): void {
    if (messages.length > 0) this.#ask(command('MPUB', [word(topic)], bodies(messages.map(bytesOf))))
  }

  /**
   * Consumes a channel, which is created if it is missing. `handler` is called with each message, one at a time unless it is `async`
   * and `maxInFlight` is above 1. What it does not answer is finished when it returns, or when its promise resolves.
   *
   * @throws {@link ProtocolError} with the broker's word: `E_BAD_TOPIC`, `E_BAD_CHANNEL`, `E_SUB_FAILED`, ...
   */
  subscribe(topic: string, channel: string, handler: MessageHandler, options?: SubscribeOptions): Subscription
  subscribe(topic: string, channel: string, options: SubscribeOptions, handler: MessageHandler): Subscription
  subscribe(
    topic: string,
    channel: string,
    a: MessageHandler | SubscribeOptions,
    b: SubscribeOptions | MessageHandler = {},
  ): Subscription {
    const [handler, options] = typeof a === 'function' ? [a, b as SubscribeOptions] : [b as MessageHandler, a]
    if (typeof handler !== 'function') throw new ArgumentError('subscribe() needs a handler')
    const subscription = new Subscription(this.connect(), word(topic), word(channel), handler, options)
    this.#pump()
    return subscription
  }

  /** Creates a topic, or a channel of it. */
  create(topic: string, channel?: string): void {
    this.#administer('create', topic, channel)
  }

  /** Deletes a topic or channel with all it has; `false` if there is none. */
  delete(topic: string, channel?: string): boolean {
    return this.#administer('delete', topic, channel)
  }

  /** Throws the waiting messages of a topic or channel away; `false` if there is none. */
  empty(topic: string, channel?: string): boolean {
    return this.#administer('empty', topic, channel)
  }

  /** Stops a topic from handing messages to its channels, or a channel from delivering; `false` if there is none. */
  pause(topic: string, channel?: string): boolean {
    return this.#administer('pause', topic, channel)
  }

  /** Ends a pause; `false` if there is no such topic or channel. */
  unpause(topic: string, channel?: string): boolean {
    return this.#administer('unpause', topic, channel)
  }

  /** The counts of all topics, as the `topics` of nsqd's `/stats?format=json`. */
  stats(): TopicStats[] {
    return JSON.parse(this.#handle.use((raw) => raw.stats())) as TopicStats[]
  }

  /** The whole state, to go back to by {@link restore} or to begin another broker with: `new Broker(snapshot)`. */
  snapshot(): BrokerSnapshot {
    return new BrokerSnapshot(new Handle(module, 'snapshot', () => this.#handle.use((raw) => raw.clone())))
  }

  /**
   * Goes back to a snapshot, time included. Connections that are open now and were open then go on; those opened since are closed,
   * and those closed since stay closed. Ends {@link followRealTime}.
   */
  restore(snapshot: BrokerSnapshot): void {
    this.#clock.stop()
    snapshot.handle.use((from) => this.#handle.use((raw) => raw.clone_from(from)))
    this.#disown()
    const known = new Set(this.#handle.use((raw) => raw.connections()))
    for (const [number, connection] of [...this.#connections]) {
      if (!known.has(number)) this.#forget(connection)
    }
    this.#producer = undefined
    this.#pump()
  }

  /** Gives its memory back and closes its connections. What is left to the garbage collector is freed too, some time. */
  free(): void {
    this.#clock.stop()
    this.#freed = true
    for (const connection of [...this.#connections.values()]) this.#forget(connection)
    this.#handle.free()
  }

  [Symbol.dispose](): void {
    this.free()
  }

  #begin(): void {
    if (this.#advancing || this.#pumping) {
      throw new StateError('E_REENTRANT', 'time cannot be moved from within a handler, or while advanceAsync() runs')
    }
    if (this.#clock.running) throw new StateError('E_REENTRANT', 'time follows the clock; end that first')
    this.#advancing = true
  }

  #runUntil(ms: number): void {
    while (this.#step(ms));
  }

  /** Lets the next thing happen. `false`: there is none until `ms`, and it is `ms` now. */
  #step(ms: number): boolean {
    const happened = this.#handle.use((raw) => raw.advance(ms))
    this.#pump()
    return happened
  }

  /** Hands everything that the broker has said to its listeners. What they throw is thrown when all have been served. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    const thrown: unknown[] = []
    try {
      while (this.#pumpOnce(thrown));
    } finally {
      this.#pumping = false
    }
    this.#clock.arm()
    if (thrown.length === 1) throw thrown[0]
    if (thrown.length > 1) throw new AggregateError(thrown, 'several listeners threw')
  }

  #pumpOnce(thrown: unknown[]): boolean {
    if (this.#freed) return false
    const events = this.#handle.use((raw) => raw.events())
    const changed = this.#handle.use((raw) => raw.changed())
    const attempt = (act: () => void): void => {
      try {
        act()
      } catch (error) {
        thrown.push(error)
      }
    }
    for (const event of events === undefined ? [] : (JSON.parse(events) as RawEvent[])) {
      attempt(() => this.#tell(event))
    }
    for (const number of changed) {
      const connection = this.#connections.get(number)
      if (connection === undefined) continue
      attempt(() => connection.settle())
      if (connection.closed) this.#connections.delete(number)
    }
    return changed.length > 0 || events !== undefined
  }

  #tell({ type, ...value }: RawEvent): void {
    this.emit(type, value as never)
  }

  /** Sends a command of our own producer, and takes the answer. */
  #ask(bytes: Uint8Array): void {
    this.#clock.catchUp()
    const { connection, frames } = this.#ownProducer()
    this.#handle.use((raw) => raw.send(connection.number, bytes))
    const answer: Frame | undefined = frames.push(connection.read()).at(-1)
    if (this.#carrier.isClosed(connection.number)) this.#producer = undefined
    this.#pump()
    if (answer === undefined) throw new ClosedError('the broker did not answer')
    if (answer.type === 'error') throw new ProtocolError(answer.code, answer.text)
  }

  #ownProducer(): { connection: Connection; frames: FrameReader } {
    if (this.#producer === undefined) {
      const connection = this.connect()
      const frames = new FrameReader()
      this.#handle.use((raw) => raw.send(connection.number, hello({ client_id: 'producer', heartbeat_interval: -1 })))
      frames.push(connection.read())
      this.#producer = { connection, frames }
    }
    return this.#producer
  }

  #administer(verb: string, topic: string, channel: string | undefined): boolean {
    this.#clock.catchUp()
    const found = this.#handle.use((raw) => raw.administer(verb, topic, channel))
    this.#pump()
    return found
  }

  /** Breaks the connections that the state has and this object has not. */
  #disown(): void {
    for (const number of this.#handle.use((raw) => raw.connections())) {
      if (!this.#connections.has(number)) this.#handle.use((raw) => raw.disconnect(number))
    }
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection.number)
    connection.over()
  }

  #carrierOf(): Carrier {
    const act = (call: (raw: RawBroker) => void): void => {
      if (this.#freed) return
      this.#clock.catchUp()
      this.#handle.use(call)
      this.#pump()
    }
    return {
      send: (number, bytes) => act((raw) => raw.send(number, bytes)),
      end: (number) => act((raw) => raw.end(number)),
      disconnect: (number) => {
        this.#connections.delete(number)
        act((raw) => raw.disconnect(number))
      },
      receive: (number) => (this.#freed ? new Uint8Array() : this.#handle.use((raw) => raw.receive(number))),
      isClosed: (number) => this.#freed || this.#handle.use((raw) => raw.closed(number)),
    }
  }
}

function create(options: BrokerOptions): RawBroker {
  const lines = Object.entries(options.config ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${flag(name)}=${String(value).replaceAll('\n', ' ')}`)
  const start = options.startDate === undefined ? undefined : Number(options.startDate)
  return new RawBroker(seedOf(options.seed ?? 1), lines.join('\n'), start)
}

/** `msgTimeout` as nsqd spells it: `msg-timeout`. */
function flag(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** A name that stays one word in a command line: what breaks the line would begin another command. */
function word(name: string): string {
  if (typeof name !== 'string') throw new ArgumentError('names of topics and channels are text')
  return name.replace(/[\s]/g, '?')
}

/** Until handlers have run that wait for nothing but promises. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0))
}
