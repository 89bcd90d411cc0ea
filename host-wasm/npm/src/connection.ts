// A client's connection: bytes both ways, as a socket would carry them.

import { Emitter } from './emitter.js'
import { bytesOf } from './frames.js'

/** What a connection tells of. */
export interface ConnectionEvents {
  /** Bytes from the broker. They are kept until somebody listens or {@link Connection.read}s. */
  data: Uint8Array
  /** The connection is over: by the broker, by {@link Connection.close}, or because the broker was freed. */
  close: void
}

/** @internal What a connection asks of its broker. */
export interface Carrier {
  send(number: number, bytes: Uint8Array): void
  receive(number: number): Uint8Array
  isClosed(number: number): boolean
  end(number: number): void
  disconnect(number: number): void
}

/**
 * A connection to a {@link Broker}, from `broker.connect()`. It carries the NSQ protocol as it is: begin with `'  V2'`. Most tests want
 * `broker.publish` and `broker.subscribe` instead.
 */
export class Connection extends Emitter<ConnectionEvents> {
  /** Its number in this broker, never used again; `clients[].connection` in the statistics. */
  readonly number: number
  readonly #carrier: Carrier
  #closed = false

  /** @internal */
  constructor(number: number, carrier: Carrier) {
    super()
    this.number = number
    this.#carrier = carrier
  }

  /** Whether the connection is over. */
  get closed(): boolean {
    return this.#closed
  }

  /** Sends bytes, or text as UTF-8; cut anywhere. On a connection that is over they are lost. */
  send(data: Uint8Array | string): void {
    if (!this.#closed) this.#carrier.send(this.number, bytesOf(data))
  }

  /** What has come since the last call. Empty while somebody listens to `data`. */
  read(): Uint8Array {
    return this.#carrier.receive(this.number)
  }

  /** Sends no more. What was sent is still answered. */
  end(): void {
    if (!this.#closed) this.#carrier.end(this.number)
  }

  /** Breaks the connection: what is in flight to it comes back when its time is over. */
  close(): void {
    if (this.#closed) return
    this.#carrier.disconnect(this.number)
    this.over()
  }

  override on<E extends keyof ConnectionEvents>(event: E, listener: (value: ConnectionEvents[E]) => void): () => void {
    const off = super.on(event, listener)
    if (event === 'data') this.settle()
    return off
  }

  /** @internal Hands on what has come, and then whether it is over. */
  settle(): void {
    if (this.has('data')) {
      const bytes = this.#carrier.receive(this.number)
      if (bytes.length > 0) this.emit('data', bytes)
    }
    if (!this.#closed && this.#carrier.isClosed(this.number)) this.over()
  }

  /** @internal */
  over(): void {
    if (this.#closed) return
    this.#closed = true
    this.emit('close', undefined)
  }
}
