// Each action: what is asked before it, and what becomes of it in the daemons.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cluster, json, until } from './daemons.mjs'
import { consume } from './consumer.mjs'
import { open, row, shows } from './page.mjs'

const bodies = (count) => Array.from({ length: count }, (_, at) => `message ${at}`)
/** The question, once it is shown: before, its text has no lines. */
const question = async (page) => {
  const asked = page.locator('dialog.ask')
  await asked.waitFor()
  return asked.innerText()
}
/** Beginnings of the texts that lookupds have of a topic. */
const known = (made, topic) => Promise.all(made.lookup.map(({ http }) => json(`http://${http}/topics`).then(({ topics }) => topics.includes(topic))))

/** Two nodes with a topic of two channels: 30 and 20 messages each, and two consumers, one of which holds 3 messages. */
async function stocked(t) {
  const made = await cluster(t, { nsqds: 2 })
  for (const at of [0, 1]) await made.topic('orders', ['archive', 'mail'], at)
  await made.publish('orders', bodies(30), 0)
  await made.publish('orders', bodies(20), 1)
  await consume(t, made.nodes[0], 'orders', 'mail', { ready: 3, keeps: true })
  await made.awaitChannel('orders', 'mail', ({ in_flight_count }) => in_flight_count === 3)
  await made.awaitChannel('orders', 'archive', ({ depth }) => depth === 20, 1)
  return made
}

test('a channel is deleted once its name is typed, and what that costs is said', async (t) => {
  const made = await stocked(t)
  // The page of the topic asks who reads the channel with the most messages, and that is just going.
  const page = await open(t, made, '/topics/orders/mail', { expected: /404/ })
  await shows(page, '.tiles', '47')
  await page.click('[data-action=delete]')
  const asked = await question(page)
  assert.match(asked, /50 messages will be lost, and 1 consumer will be disconnected, on 2 nodes\./)
  assert.match(asked, new RegExp(`${made.nodes[0].http}\\s+27\\s+3\\s+1`))
  assert.match(asked, new RegExp(`${made.nodes[1].http}\\s+20\\s+0\\s+0`))
  assert.ok(await page.isDisabled('[data-confirm]'))
  await page.fill('[name=confirm]', 'mai')
  assert.ok(await page.isDisabled('[data-confirm]'))
  await page.fill('[name=confirm]', 'mail')
  await page.click('[data-confirm]')
  await page.waitForURL('**/topics/orders')
  await shows(page, '.notice', 'Channel mail of orders is deleted.')
  await until(async () => (await made.stats('orders')).channels.length === 1 && (await made.stats('orders', 1)).channels.length === 1)
  await row(page, 'mail').waitFor({ state: 'detached' })
  await row(page, 'archive').waitFor()
})

test('a topic is deleted everywhere', async (t) => {
  const made = await stocked(t)
  const page = await open(t, made, '/topics/orders')
  await page.click('[data-action=delete]')
  const asked = await question(page)
  assert.match(asked, /Its 2 channels \(archive and mail\) will be deleted with it\./)
  assert.match(asked, /100 messages will be lost, and 1 consumer will be disconnected, on 2 nodes\./)
  await page.fill('[name=confirm]', 'orders')
  await page.click('[data-confirm]')
  await page.waitForURL(`http://${made.admin.http}/`)
  await shows(page, '.none', 'There is no topic yet.')
  assert.equal(await made.stats('orders', 0), undefined)
  assert.equal(await made.stats('orders', 1), undefined)
  assert.deepEqual(await known(made, 'orders'), [false])
})

test('nothing has to be typed where nothing is lost, and nothing happens without a yes', async (t) => {
  const made = await cluster(t)
  await made.topic('idle', ['empty'])
  const page = await open(t, made, '/topics/idle/empty')
  await page.click('[data-action=delete]')
  assert.match(await question(page), /No message will be lost\./)
  assert.equal(await page.locator('[name=confirm]').count(), 0)
  await page.click('[data-cancel]')
  await page.locator('dialog').waitFor({ state: 'detached' })
  await page.click('[data-action=delete]')
  await page.keyboard.press('Escape')
  await page.locator('dialog').waitFor({ state: 'detached' })
  assert.equal((await made.stats('idle')).channels.length, 1)
  await page.click('[data-action=delete]')
  await page.click('[data-confirm]')
  await page.waitForURL('**/topics/idle')
  assert.equal((await made.stats('idle')).channels.length, 0)
})

test('a channel is emptied', async (t) => {
  const made = await stocked(t)
  const page = await open(t, made, '/topics/orders/archive')
  await page.click('[data-action=empty]')
  assert.match(await question(page), /50 messages will be lost, on 2 nodes\./)
  await page.click('[data-confirm]')
  for (const at of [0, 1]) await made.awaitChannel('orders', 'archive', ({ depth }) => depth === 0, at)
  await shows(page, '[data-backlog]', 'No message waits.')
  assert.equal((await made.stats('orders')).channels.find(({ channel_name }) => channel_name === 'mail').depth, 27)
})

test("a topic's own queue is emptied", async (t) => {
  const made = await cluster(t)
  await made.topic('orders')
  await made.publish('orders', bodies(12))
  const page = await open(t, made, '/topics/orders')
  await shows(page, '[data-backlog]', `All 12 waiting messages are in the topic's own queue`)
  await page.click('[data-action=empty]')
  assert.match(await question(page), /12 messages will be lost/)
  await page.click('[data-confirm]')
  await until(async () => (await made.stats('orders')).depth === 0)
  await shows(page, '[data-backlog]', 'No message waits.')
})

test('topics and channels are paused, and go on', async (t) => {
  const made = await stocked(t)
  const page = await open(t, made, '/topics/orders/mail')
  await page.click('[data-action=pause]')
  assert.match(await question(page), /Nothing is lost\. 1 consumer on 2 nodes will get no messages until it goes on/)
  await page.click('[data-confirm]')
  for (const at of [0, 1]) await made.awaitChannel('orders', 'mail', ({ paused }) => paused, at)
  await shows(page, 'h1', 'paused')
  await shows(page, '[data-backlog]', 'it is paused')
  await shows(page, '[data-action=pause]', 'Unpause')
  await page.click('[data-action=pause]')
  for (const at of [0, 1]) await made.awaitChannel('orders', 'mail', ({ paused }) => !paused, at)
  await page.locator('h1 .paused').waitFor({ state: 'detached' })

  await page.click('.crumbs >> text=orders')
  await page.waitForURL('**/topics/orders')
  await page.click('[data-action=pause]')
  await page.click('[data-confirm]')
  await until(async () => (await made.stats('orders')).paused && (await made.stats('orders', 1)).paused)
  await shows(page, 'h1', 'paused')
  await page.click('[data-action=pause]')
  await until(async () => !(await made.stats('orders')).paused && !(await made.stats('orders', 1)).paused)
})

test('a topic is taken off one node, and stays on the other', async (t) => {
  const made = await stocked(t)
  const page = await open(t, made, '/topics/orders')
  await row(page, made.nodes[1].http).locator('[data-action=tombstone]').click()
  const asked = await question(page)
  assert.match(asked, new RegExp(`Take topic orders off ${made.nodes[1].http}\\?`))
  assert.match(asked, new RegExp(`40 messages will be lost, on ${made.nodes[1].http}\\.`))
  await page.fill('[name=confirm]', 'orders')
  await page.click('[data-confirm]')
  await until(async () => (await made.stats('orders', 1)) === undefined)
  await row(page, made.nodes[1].http).waitFor({ state: 'detached' })
  assert.equal((await made.stats('orders')).channels.length, 2)
})

test('from the page of a node, too', async (t) => {
  const made = await cluster(t, { nsqds: 2 })
  for (const at of [0, 1]) await made.topic('orders', [], at)
  const page = await open(t, made, `/nodes/${encodeURIComponent(made.nodes[0].http)}`)
  await row(page, 'orders').locator('[data-action=tombstone]').click()
  await page.click('[data-confirm]')
  await until(async () => (await made.stats('orders')) === undefined)
  await row(page, 'orders').waitFor({ state: 'detached' })
})

test('topics and channels are made, with names that are names', async (t) => {
  const made = await cluster(t, { lookupds: 2 })
  await made.topic('there')
  const page = await open(t, made, '/lookup')
  await page.click('[data-action=create]')
  await shows(page, '#topic-wrong', 'A topic needs a name.')
  await page.fill('[name=topic]', 'not good')
  await shows(page, '#topic-wrong', 'Letters, digits')
  await page.fill('[name=topic]', 'x'.repeat(65))
  await shows(page, '#topic-wrong', '64 characters at most')
  await page.fill('[name=topic]', 'brand.new')
  await page.fill('[name=channel]', '$')
  await shows(page, '#channel-wrong', 'Letters, digits')
  await page.click('[data-action=create]')
  assert.deepEqual(await known(made, 'brand.new'), [false, false])
  await page.fill('[name=channel]', '')
  await page.click('[data-action=create]')
  await shows(page, '.notice', 'Topic brand.new is made.')
  assert.deepEqual(await known(made, 'brand.new'), [true, true])
  await row(page, 'brand.new').waitFor()
  await page.fill('[name=topic]', 'there')
  await page.fill('[name=channel]', 'fresh#ephemeral')
  await page.click('[data-action=create]')
  await made.awaitChannel('there', 'fresh#ephemeral', () => true)
})

test('what nobody has any more is deleted from nsqlookupds', async (t) => {
  const made = await cluster(t, { lookupds: 2 })
  for (const { http } of made.lookup) {
    await fetch(`http://${http}/channel/create?topic=left&channel=one`, { method: 'POST' })
    await fetch(`http://${http}/channel/create?topic=left&channel=two`, { method: 'POST' })
  }
  const page = await open(t, made, '/lookup')
  await row(page, 'left').locator('.chip', { hasText: 'one' }).locator('button').click()
  await page.click('[data-confirm]')
  await page.locator('.chip', { hasText: 'one' }).waitFor({ state: 'detached' })
  for (const { http } of made.lookup) assert.deepEqual((await json(`http://${http}/channels?topic=left`)).channels, ['two'])
  await row(page, 'left').locator('[data-action=delete-topic]').click()
  await page.click('[data-confirm]')
  await row(page, 'left').waitFor({ state: 'detached' })
  assert.deepEqual(await known(made, 'left'), [false, false])
})

test('who is no administrator sees everything, and no buttons', async (t) => {
  const made = await cluster(t, { flags: ['--admin-user=alice', '--acl-http-header=X-User'] })
  await made.topic('orders', ['mail'])
  const page = await open(t, made, '/topics/orders/mail', { extraHTTPHeaders: { 'X-User': 'bob' } })
  for (const path of ['/topics/orders/mail', '/topics/orders', `/nodes/${encodeURIComponent(made.nodes[0].http)}`, '/lookup']) {
    await page.goto(`http://${made.admin.http}${path}`)
    await page.locator('.tiles, .plain').first().waitFor()
    assert.equal(await page.locator('[data-action]').count(), 0, path)
  }
  const refused = await fetch(`http://${made.admin.http}/api/topics/orders`, { method: 'DELETE', headers: { 'X-User': 'bob' } })
  assert.equal(refused.status, 403)
  const alice = await open(t, made, '/topics/orders/mail', { extraHTTPHeaders: { 'X-User': 'alice' } })
  await alice.click('[data-action=delete]')
  await alice.click('[data-confirm]')
  await alice.waitForURL('**/topics/orders')
  assert.equal((await made.stats('orders')).channels.length, 0)
})
