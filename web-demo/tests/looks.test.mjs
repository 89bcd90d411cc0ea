// The page as such: readable, reachable, still, at any size.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { goTo, scenario, view } from './page.mjs'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const PHONE = { viewport: { width: 390, height: 844 } }

for (const [name, options] of [['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }], ['a phone', PHONE]]) {
  test(`nothing is unreadable or unreachable: ${name}`, async (t) => {
    const page = await scenario(t, 'fan-out', options)
    await goTo(page, 4000)
    await page.evaluate(axe)
    const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa'] }))
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).slice(0, 3).join(', ')}`)
    assert.deepEqual(found, [])
  })
}

test('nothing sticks out at the width of a phone', async (t) => {
  const page = await scenario(t, 'broker-crash', PHONE)
  await goTo(page, 5000)
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(wide <= room, `${wide} of ${room} pixels`)
})

for (const [name, options] of [['a desktop', {}], ['a phone', PHONE]]) {
  test(`no words of the picture are cut: ${name}`, async (t) => {
    const page = await scenario(t, 'fan-out', options)
    const names = await page.evaluate(() => window.sansq.store.scenarios.value.map(({ name }) => name))
    for (const name of names) {
      await page.selectOption('#scenario', name)
      await page.waitForFunction((name) => window.sansq.store.scenario.value === name, name)
      await goTo(page, (await view(page)).until * 0.55)
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
      const cut = await page.evaluate(() =>
        [...document.querySelectorAll('.box')].filter((box) => box.scrollHeight > box.clientHeight || box.scrollWidth > box.clientWidth).map((box) => box.getAttribute('aria-label')),
      )
      assert.deepEqual(cut, [], name)
    }
  })
}

test('nothing jumps while it plays', async (t) => {
  const page = await scenario(t, 'slow-consumer')
  await page.evaluate(() => {
    window.jumps = 0
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.jumps += entry.value
    }).observe({ type: 'layout-shift' })
  })
  await page.click('#play')
  await page.waitForFunction(() => window.sansq.store.latest.frame.view.step > 60, undefined, { timeout: 20_000 })
  const jumps = await page.evaluate(() => window.jumps)
  assert.ok(jumps < 0.1, `layout shift ${jumps}`)
})

test('the picture can be walked with the keyboard', async (t) => {
  const page = await scenario(t, 'fan-out')
  await goTo(page, 1500)
  const reached = new Set()
  for (let press = 0; press < 60; press += 1) {
    await page.keyboard.press('Tab')
    reached.add(await page.evaluate(() => document.activeElement?.dataset.key ?? document.activeElement?.id ?? ''))
  }
  for (const key of ['node n1', 'topic n1 orders', 'channel n1 orders A', 'consumer A1', 'wire A1 n1', 'play', 'timeline']) {
    assert.ok(reached.has(key), `${key} is not among ${[...reached].join(', ')}`)
  }
})
