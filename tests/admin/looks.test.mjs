// The pages as such: readable, reachable, still, at any size.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cluster } from './daemons.mjs'
import { consume } from './consumer.mjs'
import { DARK, LIGHT, open, PHONE, row, shows, violations } from './page.mjs'

const bodies = (count) => Array.from({ length: count }, (_, at) => `message ${at}`)

async function realistic(t) {
  const made = await cluster(t, { nsqds: 2 })
  for (const at of [0, 1]) await made.topic('orders', ['archive', 'mail'], at)
  await made.topic('a.rather-long_name.of-a-topic.that-somebody-made-up#ephemeral', ['a-channel-with-a-long-name-as-well'])
  await made.publish('orders', bodies(300), 0)
  await made.publish('orders', bodies(20), 1)
  await made.post(1, '/channel/pause', { topic: 'orders', channel: 'mail' })
  await consume(t, made.nodes[0], 'orders', 'mail', { ready: 3, keeps: true })
  return made
}

const pagesOf = (made) => ['/', '/topics/orders', '/topics/orders/mail', '/nodes', `/nodes/${encodeURIComponent(made.nodes[0].http)}`, '/counter', '/lookup']
const settled = (page) => page.locator('.tiles, .running, .plain').first().waitFor()

for (const [name, options] of [['light', LIGHT], ['dark', DARK], ['a phone', PHONE]]) {
  test(`nothing is unreadable, unreachable or too wide: ${name}`, async (t) => {
    const made = await realistic(t)
    const page = await open(t, made, '/', options)
    for (const path of pagesOf(made)) {
      await page.goto(`http://${made.admin.http}${path}`)
      await settled(page)
      assert.deepEqual(await violations(page), [], path)
      const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])
      assert.ok(wide <= room, `${path}: ${wide} of ${room} pixels`)
    }
    await page.goto(`http://${made.admin.http}/topics/orders/mail`)
    await page.click('[data-action=delete]')
    await page.locator('dialog[open]').waitFor()
    assert.deepEqual(await violations(page), [], 'a question')
  })
}

test('dark or light, as the system has it, until somebody chooses', async (t) => {
  const made = await cluster(t)
  const page = await open(t, made, '/', LIGHT)
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme)
  assert.equal(await theme(), 'light')
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark')
  await page.emulateMedia({ colorScheme: 'light' })
  await page.click('[data-theme-button]')
  assert.equal(await theme(), 'dark')
  await page.reload()
  await page.locator('[data-theme-button]').waitFor()
  assert.equal(await theme(), 'dark')
  await page.click('[data-theme-button]')
  assert.equal(await theme(), 'light')
})

test('nothing jumps while numbers change', async (t) => {
  const made = await realistic(t)
  const page = await open(t, made, '/topics/orders')
  await settled(page)
  await page.evaluate(() => {
    window.jumps = 0
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.jumps += entry.value
    }).observe({ type: 'layout-shift', buffered: true })
  })
  await made.publish('orders', bodies(2000), 0)
  await shows(page, '.tiles', '2,320')
  await made.publish('orders', bodies(20_000), 1)
  await shows(page, '.tiles', '22,320')
  const jumps = await page.evaluate(() => window.jumps)
  assert.ok(jumps < 0.02, `layout shift ${jumps}`)
})

test('rows are sorted by every column, filtered, and stay sorted', async (t) => {
  const made = await cluster(t)
  for (const [topic, count] of [['alpha', 3], ['beta', 9], ['gamma', 1]]) {
    await made.topic(topic)
    await made.publish(topic, bodies(count))
  }
  const page = await open(t, made)
  const names = () => page.locator('tbody td:first-child .name').allInnerTexts()
  await row(page, 'gamma').filter({ hasText: '1' }).waitFor()
  assert.deepEqual(await names(), ['alpha', 'beta', 'gamma'])
  await page.click('thead >> text=Waiting')
  assert.deepEqual(await names(), ['beta', 'alpha', 'gamma'])
  assert.equal(await page.locator('th', { hasText: 'Waiting' }).getAttribute('aria-sort'), 'descending')
  await page.click('thead >> text=Waiting')
  assert.deepEqual(await names(), ['gamma', 'alpha', 'beta'])
  await page.reload()
  await row(page, 'gamma').waitFor()
  assert.deepEqual(await names(), ['gamma', 'alpha', 'beta'])
  for (const title of await page.locator('thead button').allInnerTexts()) {
    await page.click(`thead button:has-text("${title}")`)
    assert.notEqual(await page.locator('th', { has: page.locator(`button:has-text("${title}")`) }).first().getAttribute('aria-sort'), 'none', title)
  }
  await page.fill('[data-filter]', 'ET')
  assert.deepEqual(await names(), ['beta'])
  await shows(page, '.tally', '1 of 3 topics')
  await page.fill('[data-filter]', 'nothing')
  await shows(page, '.none', 'No topic matches “nothing”.')
})

test('everything is reached by keyboard', async (t) => {
  const made = await realistic(t)
  const page = await open(t, made)
  const long = 'a.rather-long_name.of-a-topic.that-somebody-made-up#ephemeral'
  await row(page, 'orders').waitFor()
  const focused = () => page.evaluate(() => document.activeElement?.textContent)
  await page.keyboard.press('j')
  assert.equal(await focused(), long)
  await page.keyboard.press('ArrowDown')
  assert.equal(await focused(), 'orders')
  await page.keyboard.press('k')
  assert.equal(await focused(), long)
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/topics/orders')
  await row(page, 'archive').waitFor()
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/topics/orders/archive')
  await page.keyboard.press('u')
  await page.waitForURL('**/topics/orders')
  for (const [key, path] of [['n', '/nodes'], ['c', '/counter'], ['l', '/lookup'], ['t', '/']]) {
    await page.keyboard.press('g')
    await page.keyboard.press(key)
    await page.waitForURL(`http://${made.admin.http}${path}`)
  }
  await row(page, 'orders').waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('orders')
  await row(page, long).waitFor({ state: 'detached' })
  await page.keyboard.press('Enter')
  assert.equal(await focused(), 'orders')
  await page.keyboard.press('/')
  await page.keyboard.press('Escape')
  await row(page, long).waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('?')
  await shows(page, 'dialog.help', 'next row')
  await page.keyboard.press('Escape')
  await page.locator('dialog').waitFor({ state: 'detached' })
  await page.keyboard.press('p')
  await shows(page, '.live', 'paused')
})
