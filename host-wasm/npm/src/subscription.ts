// A consumer for tests: a small client of the protocol on a connection of its own. It knows nothing of queues.

import type { Connection } from './connection.js'
import { Emitter } from './emitter.js'
import { ProtocolError } from './errors.js'
import { command, FrameReader, hello, textOf, type Frame } from './frames.js'

/** Nothing here can die silently: as seldom as the broker grants by default. */
const HEARTBEAT_INTERVAL = 30_000

/** How to consume. Times are milliseconds. */
export interface SubscribeOptions {
  /** Messages at once (RDY). Default 1. */
  maxInFlight?: number
  /** Time to answer a message before it is delivered again. Default: the broker's `msgTimeout`, 60,000. */
  msgTimeout?: number
  /** Delay of a message whose handler throws. Default 90,000. */
  requeueDelay?: number
  /** Percentage of the messages to deliver, 1..=99; the rest is dropped. Default: all. */
  sampleRate?: number
}

/** Is called with each message. When it returns, or what it returns resolves, the message is finished, unless it was answered before. */
export type MessageHandler = (message: Message) => unknown

/** What a subscription tells of. */
export interface SubscriptionEvents {
  /** What a handler threw; its message is requeued. With no listener it is reported as an uncaught exception. */
  error: unknown
  /** The subscription is over. */
  close: void
}

/** A message as delivered. Answer it once. */
export class Message {
  /** 16 hexadecimal digits. */
  readonly id: string
  /** When it was published, in nanoseconds since the Unix epoch. */
  readonly timestamp: bigint
  /** How many times it was delivered, this one included. */
  readonly attempts: number
  /** Its bytes. */
  readonly body: Uint8Array
  readonly #send: (verb: string, words: (string | number)[]) => void
  #answered = false

  /** @internal */
  constructor(frame: Frame & { type: 'message' }, send: (verb: string, words: (string | number)[]) => void) {
    this.id = frame.id
    this.timestamp = frame.timestamp
    this.attempts = frame.attempts
    this.body = frame.body
    this.#send = send
  }

  /** The body as text. */
  get text(): string {
    return textOf(this.body)
  }

  /** The body as JSON. */
  json<T = unknown>(): T {
    return JSON.parse(this.text) as T
  }

  /** Whether {@link finish} or {@link requeue} was called. */
  get answered(): boolean {
    return this.#answered
  }

  /** Done with it (FIN). */
  finish(): void {
    this.#answer('FIN', [this.id])
  }

  /** Not done: deliver it again, in `delay` milliseconds (REQ). */
  requeue(delay = 0): void {
    this.#answer('REQ', [this.id, Math.round(delay)])
  }

  /** Not done yet: its time begins anew (TOUCH). */
  touch(): void {
    if (!this.#answered) this.#send('TOUCH', [this.id])
  }

  #answer(verb: string, words: (string | number)[]): void {
    if (this.#answered) return
    this.#answered = true
    this.#send(verb, words)
  }
}

/** A consumer of a channel, from `broker.subscribe()`. */
export class Subscription extends Emitter<SubscriptionEvents> {
  readonly #connection: Connection
  readonly #handler: MessageHandler
  readonly #requeueDelay: number
  readonly #frames = new FrameReader()
  /** The first answer that is not OK, while subscribing. */
  #refused: Frame | undefined

  /** @internal Throws {@link ProtocolError} if the broker refuses. */
  constructor(
    connection: Connection,
    topic: string,
    channel: string,
    handler: MessageHandler,
    options: SubscribeOptions,
  ) {
    super()
    this.#connection = connection
    this.#handler = handler
    this.#requeueDelay = options.requeueDelay ?? 90_000
    connection.on('data', (bytes) => this.#receive(bytes))
    connection.on('close', () => this.emit('close', undefined))
    const { msgTimeout, sampleRate } = options
    connection.send(
      hello({
        client_id: `subscription-${connection.number}`,
        heartbeat_interval: HEARTBEAT_INTERVAL,
        ...(msgTimeout !== undefined && { msg_timeout: msgTimeout }),
        ...(sampleRate !== undefined && { sample_rate: sampleRate }),
      }),
    )
    connection.send(command('SUB', [topic, channel]))
    connection.settle()
    const refused = this.#refused as Frame | undefined
    if (refused?.type === 'error') throw new ProtocolError(refused.code, refused.text)
    this.setMaxInFlight(options.maxInFlight ?? 1)
  }

  /** The number of its connection. */
  get connection(): number {
    return this.#connection.number
  }

  /** Whether it is over. */
  get closed(): boolean {
    return this.#connection.closed
  }

  /** From now on so many messages at once (RDY); 0 for none. */
  setMaxInFlight(count: number): void {
    this.#connection.send(command('RDY', [count]))
  }

  /** Ends it, as a client that goes away: what is in flight to it comes back when its time is over. */
  close(): void {
    this.#connection.close()
  }

  #receive(bytes: Uint8Array): void {
    for (const frame of this.#frames.push(bytes)) {
      if (frame.type === 'message') this.#handle(frame)
      else if (frame.type === 'error') this.#fail(frame)
      else if (frame.text === '_heartbeat_') this.#connection.send(command('NOP', []))
    }
  }

  #fail(frame: Frame & { type: 'error' }): void {
    this.#refused ??= frame
    if (this.has('error')) this.emit('error', new ProtocolError(frame.code, frame.text))
  }

  #handle(frame: Frame & { type: 'message' }): void {
    const message = new Message(frame, (verb, words) => this.#connection.send(command(verb, words)))
    try {
      const result = this.#handler(message)
      if (isPromise(result)) result.then(() => message.finish(), (error: unknown) => this.#failed(message, error))
      else message.finish()
    } catch (error) {
      this.#failed(message, error)
    }
  }

  #failed(message: Message, error: unknown): void {
    message.requeue(this.#requeueDelay)
    if (this.has('error')) this.emit('error', error)
    else {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
