// The client's side of the V2 protocol: commands to bytes, bytes to frames.

/** What the broker sends. */
export type Frame =
  | { type: 'response'; text: string }
  | { type: 'error'; code: string; text: string }
  | { type: 'message'; id: string; timestamp: bigint; attempts: number; body: Uint8Array }

const RESPONSE = 0
const ERROR = 1
const FRAME_HEAD = 8
const ID = 16
const MESSAGE_HEAD = 10 + ID

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const latin1 = new TextDecoder('latin1')

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array()

  /** The frames that `bytes` complete. Bodies share memory with it. */
  push(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = []
    const data = this.#rest.length === 0 ? bytes : concat([this.#rest, bytes])
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    let at = 0
    while (data.length - at >= FRAME_HEAD) {
      const end = at + 4 + view.getUint32(at)
      if (end > data.length) break
      frames.push(decode(view.getUint32(at + 4), data.subarray(at + FRAME_HEAD, end)))
      at = end
    }
    this.#rest = data.subarray(at)
    return frames
  }
}

function decode(type: number, data: Uint8Array): Frame {
  if (type === RESPONSE) return { type: 'response', text: decoder.decode(data) }
  if (type === ERROR) {
    const text = decoder.decode(data)
    return { type: 'error', code: text.split(' ', 1)[0] ?? text, text }
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  return {
    type: 'message',
    timestamp: view.getBigInt64(0),
    attempts: view.getUint16(8),
    id: latin1.decode(data.subarray(10, MESSAGE_HEAD)),
    body: data.subarray(MESSAGE_HEAD),
  }
}

/** What a client says first, and how it introduces itself. */
export function hello(identity: {
  client_id: string
  /** Milliseconds between heartbeats; -1 for none, which the broker grants to producers only. */
  heartbeat_interval: number
  msg_timeout?: number
  sample_rate?: number
}): Uint8Array {
  const json = JSON.stringify({ user_agent: 'sansq-js', hostname: 'sansq-js', ...identity })
  return concat([encoder.encode('  V2'), command('IDENTIFY', [], bytesOf(json))])
}

/** A command line, and its body behind its size. */
export function command(verb: string, words: (string | number)[], body?: Uint8Array): Uint8Array {
  const line = encoder.encode(`${[verb, ...words].join(' ')}\n`)
  return body === undefined ? line : concat([line, sized(body)])
}

/** MPUB's body: how many, and each behind its size. */
export function bodies(messages: Uint8Array[]): Uint8Array {
  return concat([uint32(messages.length), ...messages.map(sized)])
}

/** Text as UTF-8. */
export function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? encoder.encode(data) : data
}

/** Bytes as text. */
export function textOf(data: Uint8Array): string {
  return decoder.decode(data)
}

function sized(body: Uint8Array): Uint8Array {
  return concat([uint32(body.length), body])
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function concat(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
