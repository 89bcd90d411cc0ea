// Every control does what it says: on the state of the simulation, not only on the page.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open, script, until, view } from './page.mjs'

const BUSY = `network latency=20ms jitter=0
node n1
producer web topic=orders rate=10/s
consumer worker topic=orders channel=mail max-in-flight=3 handler=400ms
consumer slow topic=orders channel=log max-in-flight=1 handler=1s`

const channel = (name) => `(view) => view.nodes[0].topics[0].channels.find((one) => one.name === '${name}')`
const select = (page, key) => page.click(`[data-key="${key}"]`, { force: true, position: { x: 7, y: 7 } })
const stands = async (page, holds) => until(page, holds)

test('topics and channels are paused, emptied and deleted', async (t) => {
  const page = await script(t, BUSY, 3000)
  await select(page, 'channel n1 orders log')
  await page.click('#pause')
  await stands(page, `(view) => (${channel('log')})(view).paused`)
  await page.keyboard.press('p')
  await stands(page, `(view) => !(${channel('log')})(view).paused`)
  assert.ok((await page.evaluate(`(${channel('log')})(window.sansq.store.latest.frame.view)`)).depth > 0)
  await page.click('#empty')
  await stands(page, `(view) => (${channel('log')})(view).depth === 0`)
  await page.click('#remove')
  await stands(page, `(view) => (${channel('log')})(view) === undefined`)
  await select(page, 'topic n1 orders')
  await page.click('#pause')
  await stands(page, '(view) => view.nodes[0].topics[0].paused')
})

test('clients are stalled, crashed, connected again and removed', async (t) => {
  const page = await script(t, BUSY, 2000)
  await select(page, 'consumer worker')
  await page.click('#stall')
  await stands(page, `(view) => view.consumers.find(({ name }) => name === 'worker').stalled`)
  await page.click('#stall')
  await page.click('#crash')
  await stands(page, `(view) => !view.consumers.find(({ name }) => name === 'worker').up`)
  await page.keyboard.press('k')
  await stands(page, `(view) => view.consumers.find(({ name }) => name === 'worker').up`)
  await page.click('#remove')
  await stands(page, `(view) => view.consumers.every(({ name }) => name !== 'worker')`)
  await select(page, 'producer web')
  const { published, waiting } = (await view(page)).producers[0]
  await page.click('#publish-many')
  await page.click('#play')
  await stands(page, `(view) => view.producers[0].published + view.producers[0].waiting >= ${published + waiting + 100}`)
})

test('sliders set the options of clients and brokers', async (t) => {
  const page = await script(t, BUSY, 1000)
  for (const [key, option, of] of [
    ['consumer worker', 'max-in-flight', 'consumers.find((one) => one.name === "worker").options'],
    ['consumer worker', 'handler', 'consumers.find((one) => one.name === "worker").options'],
    ['consumer worker', 'fail', 'consumers.find((one) => one.name === "worker").options'],
    ['consumer worker', 'requeue-delay', 'consumers.find((one) => one.name === "worker").options'],
    ['consumer worker', 'msg-timeout', 'consumers.find((one) => one.name === "worker").options'],
    ['producer web', 'rate', 'producers[0].options'],
    ['producer web', 'size', 'producers[0].options'],
    ['producer web', 'batch', 'producers[0].options'],
    ['producer web', 'defer', 'producers[0].options'],
    ['node n1', 'mem-queue-size', 'nodes[0].config'],
    ['node n1', 'msg-timeout', 'nodes[0].config'],
  ]) {
    await select(page, key)
    const read = () => page.evaluate(`window.sansq.store.latest.frame.view.${of}['${option}']`)
    const before = await read()
    await page.locator(`.side input[data-key="${option}"]`).fill('120')
    await stands(page, `(view) => view.${of}['${option}'] !== ${JSON.stringify(before)}`)
  }
})

test('wires are cut, slowed, muted and healed', async (t) => {
  const page = await script(t, BUSY, 1000)
  await select(page, 'wire worker n1')
  const wire = `view.wires.find(({ client }) => client === 'worker')`
  await page.click('#mute')
  await stands(page, `(view) => ${wire}.state === 'muted'`)
  await page.click('#heal')
  await stands(page, `(view) => ${wire}.state !== 'muted'`)
  await page.locator('.side input[data-key="latency"]').fill('150')
  await stands(page, `(view) => ${wire}.latency > 100`)
  await page.click('#cut')
  await stands(page, `(view) => ${wire}.state !== 'connected'`)
})

test('a broker is killed, started from its disk, stopped, and its disk filled', async (t) => {
  const page = await script(t, BUSY, 2000)
  await select(page, 'node n1')
  await page.click('#fill-disk')
  await stands(page, '(view) => view.nodes[0].disk.full')
  await page.click('#fill-disk')
  await stands(page, '(view) => !view.nodes[0].disk.full')
  await page.click('#kill')
  await stands(page, '(view) => !view.nodes[0].up')
  await page.click('#kill')
  await page.click('#play')
  await stands(page, '(view) => view.nodes[0].up')
  await page.click('#play')
  await page.click('#stop')
  await stands(page, '(view) => view.nodes[0].state !== "up"')
})

test('everything can be added, and a name that cannot be is refused in words', async (t) => {
  const page = await script(t, BUSY, 500)
  for (const [key, kind] of [['3', 'topic'], ['4', 'channel'], ['1', 'producer'], ['2', 'consumer']]) {
    await page.keyboard.press(key)
    await page.waitForSelector(`form[aria-label="Add a ${kind}"]`)
    await page.click('form button[type=submit]')
    await page.waitForSelector('form', { state: 'detached' })
  }
  await stands(page, `(view) => view.producers.length === 2 && view.consumers.length === 3 && view.nodes[0].topics.length === 2`)
  await page.click('#add-topic')
  await page.fill('#add-name', 'no$name')
  await page.click('form button[type=submit]')
  await page.waitForSelector('#notice.bad.shown')
  assert.match(await page.textContent('#notice'), /no\$name/)
})

test('a message tells its life, and frames are decoded', async (t) => {
  const page = await script(t, BUSY, 2000)
  await select(page, 'consumer worker')
  await page.click('.chips button')
  await page.waitForSelector('.life li')
  assert.match(await page.textContent('.life'), /published by web[\s\S]*delivered to worker/)
  await page.click('#tab-wires')
  assert.match(await page.textContent('.frames tbody'), /FIN|PUB/)
  await page.click('#tab-timers')
  assert.match(await page.textContent('.deadlines'), /#\d+/)
})

test('keys, help and theme', async (t) => {
  const page = await open(t)
  await page.keyboard.press('?')
  await page.waitForSelector('dialog[open]')
  await page.keyboard.press('Escape')
  await page.waitForSelector('dialog[open]', { state: 'detached' })
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme)
  assert.equal(await theme(), 'light')
  await page.keyboard.press('t')
  assert.equal(await theme(), 'dark')
  await page.selectOption('#scenario', 'deferred')
  await page.waitForFunction(() => window.sansq.store.scenario.value === 'deferred')
  await page.keyboard.press('n')
  await page.waitForFunction(() => window.sansq.store.scenario.value !== 'deferred')
})
