// Opens the built page in Chromium, as a stranger would, and reads the simulation behind it.

import assert from 'node:assert/strict'
import { cpus, loadavg } from 'node:os'
import { after, before } from 'node:test'
import { chromium } from 'playwright-core'
import { preview } from 'vite'

/** As root, and without a network. */
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-sync']

let browser
let server
let address

before(async () => {
  server = await preview({ root: new URL('..', import.meta.url).pathname, preview: { host: '127.0.0.1', port: 0 }, logLevel: 'error' })
  address = server.resolvedUrls.local[0]
  browser = await chromium.launch({ executablePath: process.env.SANSQ_CHROMIUM || '/usr/bin/chromium', args: FLAGS })
})

after(async () => {
  await browser?.close()
  await server?.close()
})

/** A page at `hash`; when test `t` ends it must have complained of nothing and asked nobody else for anything. */
export async function open(t, hash = '', options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  const complaints = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(address) && !request.url().startsWith('data:')) complaints.push(`asks for ${request.url()}`)
  })
  page.on('requestfailed', (request) => complaints.push(`cannot get ${request.url()}`))
  t.after(async () => {
    await context.close()
    assert.deepEqual(complaints, [])
  })
  await page.goto(`${address}${hash && `#${hash}`}`)
  await page.waitForFunction(() => window.sansq?.store.latest.frame !== undefined)
  await page.waitForSelector('.scene')
  return page
}

/** What the simulation says of itself: not what the page shows. */
export const view = (page) => page.evaluate(() => window.sansq.store.latest.frame.view)

/** Waits until `holds` says so of the simulation. */
export async function until(page, holds, argument) {
  const text = `(${holds})(window.sansq.store.latest.frame.view, ${JSON.stringify(argument)})`
  await page.waitForFunction(text, undefined, { timeout: 20_000 })
}

/** Stops playing. */
export async function pause(page) {
  await page.evaluate(() => {
    window.sansq.store.playing.value = false
  })
  await page.waitForTimeout(50)
}

/** Goes to a time, in ms. */
export const goTo = (page, time) =>
  page.evaluate(async (time) => {
    const { engine, store } = window.sansq
    store.playing.value = false
    store.accept(await engine.seek({ time }), true)
  }, time)

/** Opens a run that stands at its start. */
export const scenario = (t, name, options) => open(t, `seed=1&s=${name}&at=0@0`, options)

/** Opens a run of this script that stands at `time`. */
export async function script(t, text, time, options) {
  const page = await open(t, `seed=1&script=${encodeURIComponent(text)}&at=0@0`, options)
  await goTo(page, time)
  return page
}

/** Prints a measured rate beside its target; fails below `least`, or the part of it that an overloaded machine leaves. */
export function reach(t, what, rate, { target, least }) {
  const share = Math.min(1, (2 * cpus().length) / loadavg()[0])
  const shown = (value) => Math.round(value).toLocaleString('en-US')
  t.diagnostic(`${shown(rate)} ${what}, target ${shown(target)}${rate < target ? `: MISSED, load ${loadavg()[0]}` : ''}`)
  assert.ok(rate >= least * share, `${shown(rate)} ${what}, at least ${shown(least * share)}`)
}
