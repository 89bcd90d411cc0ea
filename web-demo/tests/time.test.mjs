// Time: playing, stepping, going back, forking, and a whole run as an address.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goTo, open, pause, reach, scenario, script, until, view } from './page.mjs'

const at = async (page) => {
  const { step, now, hash } = await view(page)
  return { step, now, hash }
}

test('every story reaches its point', async (t) => {
  const page = await scenario(t, 'first-message')
  const names = await page.evaluate(() => window.sansq.store.scenarios.value.map(({ name }) => name).filter((name) => name !== 'benchmark'))
  assert.equal(names.length, 10)
  for (const name of names) {
    await page.selectOption('#scenario', name)
    await page.waitForFunction((name) => window.sansq.store.scenario.value === name, name)
    const end = (await view(page)).until
    await goTo(page, end)
    const { violation, now, caption } = await view(page)
    assert.deepEqual([violation, now], [null, end], name)
    assert.equal((await page.textContent('#caption')).length > 20 && caption !== null, true, name)
  }
})

test('play, pause, step, and stepping back', async (t) => {
  const page = await scenario(t, 'fan-out')
  await page.click('#play')
  await until(page, '(view) => view.step > 20')
  await page.click('#play')
  await pause(page)
  const stopped = await at(page)
  await page.click('#step')
  await until(page, `(view) => view.step === ${stopped.step + 1}`)
  await page.click('#back')
  await until(page, `(view) => view.step === ${stopped.step}`)
  assert.equal((await at(page)).hash, stopped.hash)
  await page.keyboard.press('Home')
  await until(page, '(view) => view.step === 0')
})

test('rewind, then play: the same hash', async (t) => {
  const page = await scenario(t, 'timeouts-make-duplicates')
  const end = (await view(page)).until
  await goTo(page, end)
  const first = await at(page)
  const box = await page.locator('#timeline').boundingBox()
  await page.mouse.click(box.x + box.width / 3, box.y + box.height / 2)
  await until(page, `(view) => view.step < ${first.step}`)
  await page.fill('#speed', '95')
  await page.click('#play')
  await until(page, `(view) => view.now === ${end}`)
  assert.deepEqual(await at(page), first)
})

test('an address reopens the same step, edits and all', async (t) => {
  const page = await scenario(t, 'slow-consumer')
  await goTo(page, 3000)
  await page.evaluate(async () => {
    const { engine, store } = window.sansq
    store.accept(await engine.apply('producer extra topic=orders rate=3/s'), true)
  })
  await goTo(page, 6000)
  const [here, link] = [await at(page), await page.evaluate(() => window.sansq.engine.link())]
  const other = await open(t, link)
  assert.deepEqual(await at(other), here)
  assert.ok((await view(other)).producers.some(({ name }) => name === 'extra'))
})

test('a fork goes its own way, and the first run is kept', async (t) => {
  const page = await scenario(t, 'fan-out')
  await goTo(page, 2500)
  const first = await at(page)
  await page.click('#fork')
  await page.waitForFunction(() => window.sansq.store.branches.value.length === 2)
  await page.evaluate(async () => window.sansq.store.accept(await window.sansq.engine.apply('crash A1'), true))
  assert.notEqual((await at(page)).hash, first.hash)
  await page.click('.branches button:first-child')
  await until(page, `(view) => view.hash === '${first.hash}'`)
})

test('ten thousand messages in flight are drawn smoothly', async (t) => {
  const crowd = `network latency=100ms jitter=50ms
node n1
producer web topic=orders batch=500
consumer a topic=orders channel=mail max-in-flight=2500 handler=1h concurrency=10000
consumer b topic=orders channel=mail max-in-flight=2500 handler=1h concurrency=10000
consumer c topic=orders channel=mail max-in-flight=2500 handler=1h concurrency=10000
consumer d topic=orders channel=mail max-in-flight=2500 handler=1h concurrency=10000
producer more topic=orders rate=50/s
at 500ms publish web count=12000`
  const page = await script(t, crowd, 10_000)
  assert.equal((await view(page)).nodes[0].topics[0].channels[0].inFlight, 10_000)
  await page.fill('#speed', '40')
  await page.click('#play')
  // The best of some seconds: a machine that does other things beside has a free one now and then.
  const rate = await page.evaluate(async () => {
    const { painted } = window.sansq
    let best = 0
    for (let turn = 0; turn < 8 && best < 30; turn += 1) {
      const [before, began] = [painted.frames, performance.now()]
      await new Promise((resolve) => setTimeout(resolve, 1000))
      best = Math.max(best, ((painted.frames - before) * 1000) / (performance.now() - began))
    }
    return best
  })
  reach(t, 'pictures a second', rate, { target: 30, least: 20 })
})

test('without pictures it delivers as fast as the core can', async (t) => {
  const page = await scenario(t, 'benchmark')
  const rates = await page.evaluate(async () => {
    const rates = []
    for (let turn = 0; turn < 8 && !(Math.max(...rates) >= 1_000_000); turn += 1) {
      const { deliveries, realMs } = await window.sansq.engine.measure(400)
      rates.push((deliveries * 1000) / realMs)
    }
    return rates
  })
  reach(t, 'deliveries a second', Math.max(...rates), { target: 1_000_000, least: 500_000 })
  await page.click('#flat-out')
  await page.waitForFunction(() => (window.sansq.store.flatOut.value?.deliveries ?? 0) > 0)
})
