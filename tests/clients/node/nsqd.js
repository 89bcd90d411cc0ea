// One nsqd process per test, on ports and a data path of its own.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** Bounds every wait for something that must happen but has no due time, in ms. */
export const DEADLINE = 10_000
/** How far the clocks of two processes may be apart, in ms. */
export const SLACK = 10
/**
 * How long after its due time a message may arrive, in ms. SANSQ_LATE_MS raises it for an nsqd
 * that only looks at its timers now and then.
 */
export const LATE = Number(process.env.SANSQ_LATE_MS || 2000)

/**
 * The address that nsqd listens on. SANSQ_HOST names another one, where nsqd runs on another host than
 * the clients.
 */
const HOST = process.env.SANSQ_HOST || '127.0.0.1'
const LISTENING = new RegExp(`(TCP|HTTP): listening on (${HOST.replaceAll('.', '\\.')}:\\d+)`)

const RELEASE_BUILD = fileURLToPath(new URL('../../../target/release/nsqd', import.meta.url))

/** The nsqd under test: the command in SANSQ_NSQD, words split at spaces, or the release build. */
export class Nsqd {
  #addresses = { TCP: `${HOST}:0`, HTTP: `${HOST}:0` }
  #process = null
  log = []

  /** Runs an nsqd with `flags` until the end of test `t`, which also checks that it exits cleanly. */
  static async start(t, flags = []) {
    const nsqd = new Nsqd()
    nsqd.flags = flags
    nsqd.dataPath = await mkdtemp(join(tmpdir(), 'sansq-'))
    t.after(async () => {
      if (nsqd.#process) await nsqd.stop()
      await rm(nsqd.dataPath, { recursive: true })
    })
    await nsqd.start()
    return nsqd
  }

  get tcp() {
    return this.#addresses.TCP
  }

  /** Starts the process and learns its ports from its log; a second start uses the same ports. */
  async start() {
    const [program, ...words] = (process.env.SANSQ_NSQD || RELEASE_BUILD).split(' ')
    const options = {
      '-data-path': this.dataPath,
      '-tcp-address': this.#addresses.TCP,
      '-http-address': this.#addresses.HTTP,
    }
    this.#process = spawn(program, [...words, ...Object.entries(options).flat(), ...this.flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const learnt = new Set()
    createInterface(this.#process.stderr).on('line', (line) => {
      if (!line.includes('GET /stats')) this.log.push(line)
      const match = LISTENING.exec(line)
      if (match) this.#addresses[match[1]] = match[2]
      if (match) learnt.add(match[1])
    })
    await until(() => learnt.size === 2, () => `nsqd does not listen: ${this.log.join('\n')}`)
  }

  /** Sends SIGTERM and expects exit status 0. */
  async stop() {
    const process = this.#process
    this.#process = null
    const ended = process.exitCode === null ? once(process, 'exit') : [process.exitCode]
    process.kill('SIGTERM')
    const guard = setTimeout(() => process.kill('SIGKILL'), DEADLINE)
    const [status, signal] = await ended
    clearTimeout(guard)
    assert.equal(status, 0, `nsqd ended with ${status ?? signal}`)
  }

  /** Makes a topic and its channels before anybody is connected. */
  async createChannels(topic, ...channels) {
    await this.#fetch('/topic/create', { topic }, 'POST')
    for (const channel of channels) await this.#fetch('/channel/create', { topic, channel }, 'POST')
  }

  /** The statistics of a channel, undefined without such a channel. */
  async channel(topic, channel) {
    const response = await this.#fetch('/stats', { format: 'json', topic, channel })
    const { topics } = await response.json()
    return topics?.flatMap((t) => t.channels).find((c) => c.channel_name === channel)
  }

  async #fetch(path, query, method = 'GET') {
    const url = `http://${this.#addresses.HTTP}${path}?${new URLSearchParams(query)}`
    const response = await fetch(url, { method })
    assert.equal(response.status, 200, url)
    return response
  }

  /** Polls a channel's statistics until they satisfy a condition, and returns them. */
  async awaitChannel(topic, channel, what, condition) {
    let stats
    const check = async () => {
      stats = await this.channel(topic, channel)
      return stats !== undefined && condition(stats)
    }
    await until(check, () => `${topic}:${channel} is not ${what}: ${JSON.stringify(stats)}`)
    return stats
  }

  /**
   * Waits until `count` messages have come to the channel and none of them is queued, in flight or
   * deferred. After that none can be delivered again. A restart sets the count to 0.
   */
  awaitSettled(topic, channel, count) {
    const settled = (stats) => stats.message_count === count && isEmpty(stats)
    return this.awaitChannel(topic, channel, `done with ${count} messages`, settled)
  }

  /** Waits until a channel has so many connected consumers that take messages. */
  awaitConsumers(topic, channel, count) {
    const consumed = (stats) => stats.clients.filter((c) => c.ready_count > 0).length === count
    return this.awaitChannel(topic, channel, `consumed by ${count}`, consumed)
  }
}

export function isEmpty(stats) {
  return stats.depth + stats.in_flight_count + stats.deferred_count === 0
}

/** Calls `check` until it is true; if that takes too long, fails with the text of `missing()`. */
export async function until(check, missing) {
  const end = Date.now() + DEADLINE + LATE
  while (!(await check())) {
    assert.ok(Date.now() < end, missing())
    await sleep(10)
  }
}
