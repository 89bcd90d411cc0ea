// A thousand topics: how long until one can do something, and whether it stays quick.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cluster } from './daemons.mjs'
import { open, row, shows } from './page.mjs'

const TOPICS = 1000
/** From the navigation to rows that can be clicked, in ms. */
const USABLE = 1000
/** From a key in the filter to the rows it leaves, in ms. */
const FILTERED = 300

const name = (at) => `topic-${String(at).padStart(4, '0')}`

/** Two nodes with the thousand topics, every tenth with a channel, some with messages. */
async function large(t) {
  // As often as it looks by itself.
  const made = await cluster(t, { nsqds: 2, flags: ['--live-interval=2s'] })
  for (let from = 0; from < TOPICS; from += 50) {
    await Promise.all(Array.from({ length: 50 }, async (_, at) => {
      const topic = name(from + at)
      for (const node of [0, 1]) {
        await made.post(node, '/topic/create', { topic })
        if (at % 10 === 0) await made.post(node, '/channel/create', { topic, channel: 'archive' })
        if (at % 5 === 0) await made.publish(topic, ['one', 'two', 'three'], node)
      }
    }))
  }
  return made
}

test('a thousand topics can be used within a second, and are quick from then on', async (t) => {
  const made = await large(t)
  const page = await open(t, made, '/counter')
  await page.locator('.running').waitFor()
  await page.addInitScript(() => {
    const observer = new MutationObserver(() => {
      if (window.usable !== undefined || !document.querySelector('tbody tr[data-index] a')) return
      observer.disconnect()
      // After the picture that has them, with nothing left to do that would hold up a click.
      requestAnimationFrame(() => setTimeout(() => (window.usable = performance.now())))
    })
    observer.observe(document, { childList: true, subtree: true })
  })
  const taken = []
  for (let round = 0; round < 5; round += 1) {
    await page.goto(`http://${made.admin.http}/`)
    await page.waitForFunction(() => window.usable !== undefined)
    taken.push(Math.round(await page.evaluate(() => window.usable)))
  }
  t.diagnostic(`usable after ${taken.join(', ')} ms`)
  assert.ok(Math.min(...taken) <= USABLE, `usable after ${taken} ms`)

  await shows(page, '.tally', '1,000 topics')
  const filtered = await page.evaluate(async () => {
    const input = document.querySelector('[data-filter]')
    const start = performance.now()
    input.value = '0777'
    input.dispatchEvent(new Event('input', { bubbles: true }))
    while (document.querySelectorAll('tbody tr[data-index]').length !== 1) await new Promise(requestAnimationFrame)
    return Math.round(performance.now() - start)
  })
  t.diagnostic(`filtered after ${filtered} ms`)
  assert.ok(filtered <= FILTERED, `filtered after ${filtered} ms`)
  await page.fill('[data-filter]', '')

  // To the end, by keyboard and by wheel: rows are there when one gets to them.
  await page.keyboard.press('Escape')
  await page.keyboard.press('k')
  await page.waitForFunction((last) => document.activeElement?.textContent === last, name(TOPICS - 1))
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight / 2))
  await row(page, name(TOPICS / 2)).waitFor()
  await made.publish(name(TOPICS / 2), ['more'], 0)
  await page.waitForFunction((topic) => [...document.querySelectorAll('tbody tr')].some((row) => row.querySelector('.name')?.textContent === topic && /\b7\b/.test(row.innerText)), name(TOPICS / 2))

  const busy = await page.evaluate(async () => {
    const long = []
    new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => Math.round(duration)))).observe({ type: 'longtask' })
    await new Promise((resolve) => setTimeout(resolve, 2000))
    return long
  })
  t.diagnostic(`long tasks in two seconds of updates: ${busy.join(', ') || 'none'}`)
  assert.ok(Math.max(0, ...busy) < 200, `${busy} ms`)
  await row(page, name(TOPICS / 2)).locator('a').first().click()
  await page.waitForURL(`**/topics/${name(TOPICS / 2)}`)
})
