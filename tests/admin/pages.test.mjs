// Each page shows what the daemons have.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cluster } from './daemons.mjs'
import { consume } from './consumer.mjs'
import { cells, cellShows, open, row, shows, tile, tileShows } from './page.mjs'

const bodies = (count) => Array.from({ length: count }, (_, at) => `message ${at}`)

/** Two nodes with a backlog, and a consumer that keeps what it gets. */
async function busy(t) {
  const made = await cluster(t, { nsqds: 2, lookupds: 2 })
  await made.topic('orders', ['archive', 'mail'], 0)
  await made.topic('orders', ['archive', 'mail'], 1)
  await made.topic('quiet', [], 0)
  await made.publish('orders', bodies(40), 0)
  await made.publish('orders', bodies(60), 1)
  await consume(t, made.nodes[1], 'orders', 'mail', { ready: 5, keeps: true })
  await made.awaitChannel('orders', 'mail', ({ in_flight_count }) => in_flight_count === 5, 1)
  return made
}

test('the list of topics, and numbers that move by themselves', async (t) => {
  const made = await busy(t)
  const page = await open(t, made)
  assert.equal(await page.title(), 'Topics · nsqadmin')
  await cellShows(page, 'Topics', 'orders', 'Waiting', '195')
  const shown = await cells(page, 'Topics', 'orders')
  assert.equal(shown['In flight'], '5')
  assert.equal(shown.Messages, '100')
  assert.equal(shown.Channels, '2')
  assert.equal(shown.Consumers, '1')
  assert.match(shown['Mostly in'], /^31 % archive/)
  await row(page, 'quiet').waitFor()
  await made.publish('quiet', bodies(7))
  await cellShows(page, 'Topics', 'quiet', 'Messages', '7')
  await cellShows(page, 'Topics', 'quiet', 'Waiting', '7')
  await shows(page, '.live', 'live')
})

test('a topic: its channels, its nodes, and where its backlog is', async (t) => {
  const made = await busy(t)
  const page = await open(t, made, '/')
  await row(page, 'orders').locator('a').first().click()
  await page.waitForURL('**/topics/orders')
  await tileShows(page, 'Waiting', '195')
  await tileShows(page, 'Messages', '100')
  await cellShows(page, 'Channels', 'archive', 'Waiting', '100')
  await cellShows(page, 'Channels', 'mail', 'In flight', '5')
  assert.equal((await cells(page, 'Nodes', made.nodes[1].http)).Messages, '60')
  await shows(page, '[data-backlog]', '195 messages wait in 2 places; most of them, 51 %, in channel archive; it has no consumer.')
  await shows(page, 'tfoot', 'All nodes')
})

test('a channel: its consumers, and which one is at its limit', async (t) => {
  const made = await busy(t)
  const page = await open(t, made, '/topics/orders/mail')
  await tileShows(page, 'Waiting', '95')
  await shows(page, 'table[aria-label="Consumers"] tbody', 'worker.example')
  const consumer = await page.locator('table[aria-label="Consumers"] tbody tr').first().innerText()
  assert.match(consumer, /test\/1\.0/)
  await shows(page, '[data-backlog]', `95 messages wait`)
  await shows(page, '.parts', 'at its limit, RDY 5')
  assert.equal((await cells(page, 'Nodes', made.nodes[0].http)).Waiting, '40')
  await page.click('.crumbs a >> text=orders')
  await page.waitForURL('**/topics/orders')
})

test('the nodes, and one of them', async (t) => {
  const made = await busy(t)
  const page = await open(t, made, '/nodes')
  const shown = await cells(page, 'Nodes', made.nodes[0].http)
  assert.equal(shown.nsqlookupds, '2 of 2')
  assert.equal(shown.TCP, made.nodes[0].addresses.TCP.split(':')[1])
  await cellShows(page, 'Nodes', made.nodes[0].http, 'Topics', '2')
  await row(page, made.nodes[1].http).locator('a').first().click()
  await page.waitForURL('**/nodes/*')
  await tileShows(page, 'Topics', '1')
  await tileShows(page, 'Waiting', '115')
  await row(page, 'mail').locator('button.twist').click()
  await shows(page, 'tr.level-2', 'worker.example')
  await row(page, 'orders').locator('button.twist').click()
  await page.locator('tr.level-1').first().waitFor({ state: 'detached' })
})

test('the counter counts what went through channels', async (t) => {
  const made = await busy(t)
  const page = await open(t, made, '/counter')
  await shows(page, '.running', '200')
  await made.publish('orders', bodies(30), 0)
  await shows(page, '.running', '260')
  await shows(page, 'table[aria-label="By channel"]', 'archive')
})

test('lookup: who is asked, and what nobody has any more', async (t) => {
  const made = await cluster(t, { nsqds: 1, lookupds: 2 })
  for (const { http } of made.lookup) {
    await fetch(`http://${http}/topic/create?topic=left`, { method: 'POST' })
    await fetch(`http://${http}/channel/create?topic=left&channel=behind`, { method: 'POST' })
  }
  const page = await open(t, made, '/lookup')
  for (const { http } of made.lookup) await shows(page, '.plain', http)
  await shows(page, 'table[aria-label="Topics without a producer"]', 'behind')
  await row(page, 'left').locator('a').first().click()
  await shows(page, '.banner', 'No node has the topic left.')
})

test('what is not there is said, and comes when it is', async (t) => {
  const made = await cluster(t)
  const page = await open(t, made, '/topics/later')
  await shows(page, '.banner', 'No node has the topic later.')
  await made.topic('later', ['ch'])
  await shows(page, 'table[aria-label="Channels"]', 'ch')
  await page.goto(`http://${made.admin.http}/topics/later/other`)
  await shows(page, '.banner', 'No node has the channel other of later.')
  await page.goto(`http://${made.admin.http}/nodes/127.0.0.1:1`)
  await shows(page, '.banner', 'No nsqd is known as 127.0.0.1:1.')
})

test('an empty cluster says how to begin', async (t) => {
  const made = await cluster(t)
  const page = await open(t, made)
  await shows(page, '.none', 'There is no topic yet.')
})

test('without nsqlookupd, nsqds are asked directly', async (t) => {
  const made = await cluster(t, { lookupds: 0, direct: true })
  await made.post(0, '/topic/create', { topic: 'direct' })
  const page = await open(t, made)
  await row(page, 'direct').waitFor()
  await page.click('nav >> text=Nodes')
  await row(page, made.nodes[0].http).waitFor()
  await page.click('nav >> text=Lookup')
  await shows(page, '.card', 'None is configured')
})

test('below a base path everything works the same', async (t) => {
  const made = await cluster(t, { flags: ['--base-path=/adm'] })
  await made.topic('orders#ephemeral', [])
  await made.post(0, '/channel/create', { topic: 'orders#ephemeral', channel: 'a.b' })
  const page = await open(t, made, '/adm')
  await row(page, 'orders#ephemeral').locator('a').first().click()
  await page.waitForURL('**/adm/topics/orders%23ephemeral')
  await row(page, 'a.b').locator('a').first().click()
  await page.waitForURL('**/adm/topics/orders%23ephemeral/a.b')
  await page.goBack()
  await page.waitForURL('**/adm/topics/orders%23ephemeral')
  await page.click('[data-action=pause]')
  await page.click('[data-confirm]')
  await shows(page, 'h1', 'paused')
  await page.click('nav >> text=Counter')
  await page.waitForURL('**/adm/counter')
  await page.reload()
  await shows(page, '.running', '0')
})

test('a node that is no longer listed does not stay', async (t) => {
  const made = await cluster(t, { nsqds: 2 })
  const page = await open(t, made, '/nodes')
  await row(page, made.nodes[1].http).waitFor()
  await made.nodes[1].stop()
  await row(page, made.nodes[1].http).waitFor({ state: 'detached' })
  assert.equal(await tile(page, 'Nodes').innerText(), '1')
})
