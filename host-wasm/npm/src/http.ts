// The few endpoints of nsqd's HTTP API that test suites use. Answers are nsqd's; what they decide is the broker's.

import { createServer, type IncomingMessage, type Server } from 'node:http'

import type { Broker } from './broker.js'
import { SansqError } from './errors.js'
import { rawVersion } from './raw.js'

type Answer = [status: number, body: string]

const OK: Answer = [200, 'OK']
const EMPTY: Answer = [200, '']
const NOT_FOUND: Answer = [404, JSON.stringify({ message: 'NOT_FOUND' })]
/** Bytes of the largest body that is read: nsqd's default for all messages of an /mpub. */
const BODY_MAX = 5 * 1024 * 1024

/** The server; it does not listen yet. */
export function httpServer(broker: Broker): Server {
  return createServer((request, response) => {
    answer(broker, request)
      .catch((error: unknown) => refusal(error))
      .then(([status, body]) => {
        const type = body.startsWith('{') ? 'application/json; charset=utf-8' : 'text/plain; charset=utf-8'
        response.writeHead(status, { 'Content-Type': type, 'X-NSQ-Content-Type': 'nsq; version=1.0' }).end(body)
      })
      .catch(() => response.destroy())
  })
}

async function answer(broker: Broker, request: IncomingMessage): Promise<Answer> {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://localhost')
  const topic = query.get('topic') ?? undefined
  const channel = query.get('channel') ?? undefined
  switch (pathname) {
    case '/ping':
      return OK
    case '/stats':
      return [200, stats(broker, topic, channel)]
    case '/pub':
    case '/mpub':
      if (topic === undefined) return bad('MISSING_ARG_TOPIC')
      return publish(broker, pathname, topic, query, await bodyOf(request))
  }
  const [, what, verb] = /^\/(topic|channel)\/(create|delete|empty|pause|unpause)$/.exec(pathname) ?? []
  if (what === undefined) return NOT_FOUND
  if (topic === undefined) return bad('MISSING_ARG_TOPIC')
  if (what === 'channel' && channel === undefined) return bad('MISSING_ARG_CHANNEL')
  const found = broker[verb as 'delete'](topic, what === 'channel' ? channel : undefined)
  return found || verb === 'create' ? EMPTY : [404, JSON.stringify({ message: `${what.toUpperCase()}_NOT_FOUND` })]
}

function publish(broker: Broker, path: string, topic: string, query: URLSearchParams, body: Buffer): Answer {
  if (path === '/mpub') {
    broker.publishMany(topic, body.toString().split('\n').filter((line) => line !== ''))
  } else {
    const defer = Number(query.get('defer') ?? 0)
    if (!Number.isInteger(defer) || defer < 0) return bad('INVALID_DEFER')
    if (body.length === 0) return bad('MSG_EMPTY')
    broker.publish(topic, body, { defer })
  }
  return OK
}

/** The document of `/stats?format=json`; only a topic and a channel of it, if they are named. */
function stats(broker: Broker, topic: string | undefined, channel: string | undefined): string {
  const topics = broker
    .stats()
    .filter((stats) => topic === undefined || stats.topic_name === topic)
    .map((stats) => ({
      ...stats,
      channels: stats.channels.filter((stats) => channel === undefined || stats.channel_name === channel),
    }))
  return JSON.stringify({ version: rawVersion(), health: 'OK', start_time: 0, topics })
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > BODY_MAX) throw new SansqError('BODY_TOO_BIG', 'the body is too large')
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function refusal(error: unknown): Answer {
  if (!(error instanceof SansqError)) return [500, JSON.stringify({ message: 'INTERNAL_ERROR' })]
  switch (error.code) {
    case 'E_BAD_TOPIC':
      return bad('INVALID_TOPIC')
    case 'E_BAD_CHANNEL':
      return bad('INVALID_ARG_CHANNEL')
    case 'BODY_TOO_BIG':
    case 'E_BAD_MESSAGE':
      return [413, JSON.stringify({ message: 'MSG_TOO_BIG' })]
    default:
      return bad(error.message)
  }
}

function bad(message: string): Answer {
  return [400, JSON.stringify({ message })]
}
