// A cluster per test: nsqds, nsqlookupds and an nsqadmin of this checkout, on ports and data paths of their own.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** Bounds every wait for something that must happen, in ms. */
export const DEADLINE = 20_000
/** How often nsqadmin looks, in the tests. */
export const INTERVAL = '300ms'

/** Where they are. `SANSQ_PAGES` names a directory with pages to be tested in the place of those built in. */
const PROGRAMS = process.env.SANSQ_PROGRAMS || fileURLToPath(new URL('../../target/release', import.meta.url))

/** Calls `check` until what it returns is true; returns that. If it takes too long, fails with what `missing` says. */
export async function until(check, missing = () => `${check} does not come true`) {
  const end = Date.now() + DEADLINE
  for (;;) {
    const value = await check()
    if (value) return value
    assert.ok(Date.now() < end, missing())
    await sleep(20)
  }
}

/** A process that listens. */
class Daemon {
  log = []
  addresses = {}
  #process

  constructor(program, flags) {
    this.program = program
    this.flags = flags
  }

  /** The address of its HTTP API. */
  get http() {
    return this.addresses.HTTP
  }

  /** Starts it, and again on the same ports. */
  async start() {
    const fixed = Object.entries(this.addresses).map(([name, address]) => `--${name.toLowerCase()}-address=${address}`)
    this.#process = spawn(join(PROGRAMS, this.program), [...this.flags, ...fixed], { stdio: ['ignore', 'ignore', 'pipe'] })
    const faces = this.program === 'nsqadmin' ? ['HTTP'] : ['TCP', 'HTTP']
    const heard = new Set()
    createInterface(this.#process.stderr).on('line', (line) => {
      this.log.push(line)
      const match = /(TCP|HTTP): listening on (127\.0\.0\.1:\d+)/.exec(line)
      if (!match) return
      this.addresses[match[1]] = match[2]
      heard.add(match[1])
    })
    await until(() => heard.size === faces.length, () => `${this.program} does not listen:\n${this.log.join('\n')}`)
    return this
  }

  /** Lets it do nothing more, and hold all its connections. */
  pause() {
    this.#process.kill('SIGSTOP')
  }

  resume() {
    this.#process.kill('SIGCONT')
  }

  /** Ends it: with SIGTERM, or as a crash does. */
  async stop(signal = 'SIGTERM') {
    const process = this.#process
    if (!process || process.exitCode !== null || process.signalCode !== null) return
    const ended = once(process, 'exit')
    process.kill(signal)
    const guard = setTimeout(() => process.kill('SIGKILL'), DEADLINE)
    await ended
    clearTimeout(guard)
  }
}

/** Starts a cluster, and ends it with the test. `flags` are nsqadmin's, `nsqdFlags` those of each nsqd. */
export async function cluster(t, { nsqds = 1, lookupds = 1, flags = [], nsqdFlags = [], direct = false } = {}) {
  const paths = []
  const daemons = []
  const closing = []
  t.after(async () => {
    // Those who listen first, or they would complain that nobody speaks any more.
    for (const close of closing) await close()
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')))
    await Promise.all(paths.map((path) => rm(path, { recursive: true, force: true })))
  })
  const launch = async (program, flags) => {
    const daemon = new Daemon(program, flags)
    daemons.push(daemon)
    return daemon.start()
  }
  const listen = (...faces) => faces.map((face) => `--${face}-address=127.0.0.1:0`)
  const lookup = await Promise.all(Array.from({ length: lookupds }, () => launch('nsqlookupd', [...listen('tcp', 'http'), '--broadcast-address=127.0.0.1'])))
  const nodes = await Promise.all(
    Array.from({ length: nsqds }, async (_, at) => {
      const path = await mkdtemp(join(tmpdir(), 'sansq-admin-'))
      paths.push(path)
      const known = lookup.map((one) => `--lookupd-tcp-address=${one.addresses.TCP}`)
      return launch('nsqd', [...listen('tcp', 'http'), `--data-path=${path}`, '--broadcast-address=127.0.0.1', `--node-id=${at + 1}`, ...known, ...nsqdFlags])
    }),
  )
  // One who is started again must be found again, whatever it is told.
  const asked = direct ? nodes.map((node) => `--nsqd-http-address=${node.http}`) : lookup.map((one) => `--lookupd-http-address=${one.http}`)
  const pages = process.env.SANSQ_PAGES ? [`--dev-static-dir=${process.env.SANSQ_PAGES}`] : []
  const admin = await launch('nsqadmin', [...listen('http'), ...asked, `--live-interval=${INTERVAL}`, ...pages, ...flags])
  const made = new Cluster(nodes, lookup, admin, closing)
  if (!direct && lookupds > 0) await made.registered()
  return made
}

class Cluster {
  constructor(nodes, lookup, admin, closing) {
    Object.assign(this, { nodes, lookup, admin, closing })
  }

  /** Waits until all nodes are known to all nsqlookupds. */
  async registered() {
    for (const one of this.lookup) {
      await until(async () => (await json(`http://${one.http}/nodes`)).producers.length === this.nodes.length, () => 'nodes are not registered')
    }
  }

  /** Makes a topic on a node, with channels. */
  async topic(topic, channels = [], at = 0) {
    await this.post(at, '/topic/create', { topic })
    for (const channel of channels) await this.post(at, '/channel/create', { topic, channel })
    for (const one of this.lookup) {
      await until(async () => {
        const { producers } = await json(`http://${one.http}/lookup?topic=${encodeURIComponent(topic)}`).catch(() => ({ producers: [] }))
        return producers.some(({ http_port }) => this.nodes[at].http.endsWith(`:${http_port}`))
      }, () => `${topic} is not registered`)
    }
  }

  /** Publishes bodies to a node. */
  async publish(topic, bodies, at = 0) {
    for (let from = 0; from < bodies.length; from += 1000) {
      const part = bodies.slice(from, from + 1000)
      await this.post(at, '/mpub', { topic }, part.join('\n'))
    }
  }

  async post(at, path, query, body = undefined) {
    const response = await fetch(`http://${this.nodes[at].http}${path}?${new URLSearchParams(query)}`, { method: 'POST', body })
    assert.equal(response.status, 200, `${path}: ${await response.text()}`)
  }

  /** What a node says of a topic; undefined if it has none. */
  async stats(topic, at = 0) {
    const { topics } = await json(`http://${this.nodes[at].http}/stats?format=json&topic=${encodeURIComponent(topic)}`)
    return (topics ?? []).find(({ topic_name }) => topic_name === topic)
  }

  /** Waits until a channel of a node is as it should be. */
  async awaitChannel(topic, channel, holds, at = 0) {
    let last
    return until(async () => {
      last = (await this.stats(topic, at))?.channels.find(({ channel_name }) => channel_name === channel)
      return last && holds(last)
    }, () => `${topic}/${channel}: ${JSON.stringify(last)}`)
  }
}

export async function json(url) {
  const response = await fetch(url)
  assert.equal(response.status, 200, url)
  return response.json()
}
