// What does not answer is named; what comes back is back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cluster, until } from './daemons.mjs'
import { open, row, shows, tileShows } from './page.mjs'

const bodies = (count) => Array.from({ length: count }, (_, at) => `message ${at}`)

test('an nsqd that dies is named, and the others are shown', async (t) => {
  // Asked directly: an nsqlookupd would forget it within moments.
  const made = await cluster(t, { nsqds: 2, lookupds: 0, direct: true })
  for (const at of [0, 1]) {
    await made.topic('orders', ['mail'], at)
    await made.publish('orders', bodies(10), at)
  }
  const page = await open(t, made, '/topics/orders')
  await tileShows(page, 'Waiting', '20')
  await made.nodes[1].stop('SIGKILL')
  await shows(page, '.banner.warn', `nsqd ${made.nodes[1].http} (connection refused) does not answer. What it has is not counted here.`)
  await tileShows(page, 'Waiting', '10')
  await page.click('[data-action=delete]')
  await shows(page, '.ask', `What is on ${made.nodes[1].http} is not known: no answer from there.`)
  await page.keyboard.press('Escape')
  await page.click('nav >> text=Topics')
  await row(page, 'orders').waitFor()
  await shows(page, '.banner.warn', made.nodes[1].http)
  await made.nodes[1].start()
  await page.locator('.banner.warn').waitFor({ state: 'detached' })
})

test('an nsqd that its nsqlookupd still lists does not answer', async (t) => {
  const made = await cluster(t, { nsqds: 2 })
  for (const at of [0, 1]) await made.topic('orders', [], at)
  const page = await open(t, made, '/nodes')
  await row(page, made.nodes[1].http).waitFor()
  // Alive, and of no use: the connection to nsqlookupd stays.
  made.nodes[1].pause()
  t.after(() => made.nodes[1].resume())
  await row(page, made.nodes[1].http).filter({ hasText: 'does not answer' }).waitFor()
  await tileShows(page, 'Not answering', '1')
  made.nodes[1].resume()
  await tileShows(page, 'Not answering', '0')
})

test('an nsqlookupd that dies is named, and nodes say who knows them', async (t) => {
  const made = await cluster(t, { lookupds: 2 })
  await made.topic('orders')
  const page = await open(t, made, '/nodes')
  await row(page, made.nodes[0].http).filter({ hasText: '2 of 2' }).waitFor()
  await made.lookup[1].stop('SIGKILL')
  await shows(page, '.banner.warn', `nsqlookupd ${made.lookup[1].http} (connection refused) does not answer.`)
  await row(page, made.nodes[0].http).filter({ hasText: '1 of 2' }).waitFor()
  await page.click('nav >> text=Topics')
  await row(page, 'orders').waitFor()
})

test('if nobody answers, that is said, and the page comes back by itself', async (t) => {
  const made = await cluster(t)
  await made.topic('orders')
  const page = await open(t, made)
  await row(page, 'orders').waitFor()
  await made.lookup[0].stop('SIGKILL')
  await shows(page, '.banner.bad', 'The cluster does not answer.')
  await shows(page, '.banner.bad', made.lookup[0].http)
  await shows(page, '.live', 'no answer')
  await made.lookup[0].start()
  await page.locator('.banner.bad').waitFor({ state: 'detached' })
  await row(page, 'orders').waitFor()
  await shows(page, '.live', 'live')
})

test('an action that not all have heard of says who', async (t) => {
  const made = await cluster(t, { nsqds: 1, lookupds: 2 })
  await made.topic('orders', ['mail'])
  const page = await open(t, made, '/topics/orders/mail')
  await page.locator('[data-action=delete]').waitFor()
  await made.lookup[1].stop('SIGKILL')
  await shows(page, '.banner.warn', made.lookup[1].http)
  await page.click('[data-action=delete]')
  await page.click('[data-confirm]')
  await shows(page, '.notice.bad', 'Channel mail of orders is deleted, but not everywhere.')
  await shows(page, '.notice.bad', made.lookup[1].http)
  assert.equal((await made.stats('orders')).channels.length, 0)
})

test('nsqadmin goes away and comes back: the page finds it again', async (t) => {
  const made = await cluster(t)
  await made.topic('orders')
  const expected = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/
  const page = await open(t, made, '/', { expected })
  await row(page, 'orders').waitFor()
  await made.admin.stop('SIGKILL')
  await shows(page, '.live', 'reconnecting')
  await row(page, 'orders').waitFor()
  await made.publish('orders', bodies(5))
  await made.admin.start()
  await shows(page, '.live', 'live')
  await tileShows(page, 'Waiting', '5')
})

test('a page that is paused stays as it is', async (t) => {
  const made = await cluster(t)
  await made.topic('orders')
  const page = await open(t, made)
  await row(page, 'orders').waitFor()
  await page.click('.live')
  await shows(page, '.live', 'paused')
  await made.publish('orders', bodies(5))
  // What is not pushed shows in nothing; the button says how old it is.
  await page.waitForFunction(() => /\d s/.test(document.querySelector('.live .age')?.textContent ?? ''))
  await until(async () => (await made.stats('orders')).depth === 5)
  await tileShows(page, 'Waiting', '0')
  await page.click('.live')
  await tileShows(page, 'Waiting', '5')
  await shows(page, '.live', 'live')
})
