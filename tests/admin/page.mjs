// Opens nsqadmin's pages in Chromium, and watches what they complain of.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { after, before } from 'node:test'
import { chromium } from 'playwright-core'
import { DEADLINE } from './daemons.mjs'

/** As root, and without a network. */
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export const PHONE = { viewport: { width: 390, height: 844 } }
export const LIGHT = { colorScheme: 'light' }
export const DARK = { colorScheme: 'dark' }

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let browser

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.SANSQ_CHROMIUM || '/usr/bin/chromium', args: FLAGS })
})

after(async () => {
  await browser?.close()
})

/**
 * A page of `cluster`'s nsqadmin; when test `t` ends it must have complained of nothing and asked nobody else for anything.
 * `expected`: what the browser itself may say, of a daemon that the test has stopped.
 */
export async function open(t, cluster, path = '/', { expected = /^$/, ...options } = {}) {
  const origin = `http://${cluster.admin.http}`
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options })
  context.setDefaultTimeout(DEADLINE)
  const page = await context.newPage()
  const complaints = []
  const complain = (text) => expected.test(text) || complaints.push(text)
  page.on('console', (message) => complain(message.text()))
  page.on('pageerror', (error) => complain(error.stack ?? error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) complain(`asks for ${request.url()}`)
  })
  cluster.closing.push(() => context.close())
  t.after(() => assert.deepEqual(complaints, []))
  await page.goto(origin + path)
  await page.waitForSelector('main h1')
  return page
}

/** Waits until an element shows a text. */
export const shows = (page, selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor()

/** The row of a table that begins with a name. */
export const row = (page, name, table = page) => table.locator('tbody tr', { has: page.locator('td:first-child .name', { hasText: new RegExp(`^${name.replace(/[.#]/g, '\\$&')}$`) }) }).first()

/** The texts of a row, by the titles of its columns. */
export async function cells(page, table, name) {
  const of = page.locator(`table[aria-label="${table}"]`)
  await row(page, name, of).waitFor()
  const titles = await of.locator('thead th').allInnerTexts()
  const texts = await row(page, name, of).locator('td').allInnerTexts()
  return Object.fromEntries(titles.map((title, at) => [title.trim(), texts[at]?.trim()]))
}

/** Waits until a cell says so. */
export async function cellShows(page, table, name, title, text) {
  const end = Date.now() + DEADLINE
  let last
  while (Date.now() < end) {
    last = await cells(page, table, name).catch((error) => String(error))
    if (last[title] === text) return
    await page.waitForTimeout(50)
  }
  assert.fail(`${title} of ${name} is not ${text}: ${JSON.stringify(last)}`)
}

/** A number of the row at the top, by its name. */
export const tile = (page, name) => page.locator('.tiles div', { has: page.locator(`dt:text-is("${name}")`) }).locator('dd')

/** Waits until a number of the row at the top is this. */
export const tileShows = (page, name, text) => tile(page, name).filter({ hasText: new RegExp(`^${text}$`) }).waitFor()

/** What is unreadable or unreachable on a page. */
export async function violations(page) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }))
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} ${failureSummary.split('\n')[1] ?? ''}`).slice(0, 3).join(', ')}`)
}
