// The first messages of a queue, without taking any.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cluster } from './daemons.mjs'
import { DARK, LIGHT, open, shows, violations } from './page.mjs'

test('messages are looked at, and stay where they are', async (t) => {
  const made = await cluster(t)
  await made.topic('orders', ['mail'])
  await made.post(0, '/pub', { topic: 'orders' }, '{"order":17,"lines":[1,2]}')
  await made.post(0, '/pub', { topic: 'orders' }, Buffer.from([0, 1, 2, 0xff, 0x41]))
  await made.post(0, '/pub', { topic: 'orders', defer: '600000' }, 'later')
  const page = await open(t, made, '/topics/orders/mail')
  await page.click('[data-action=peek]')
  await shows(page, '.drawer .messages', '"order": 17')
  await shows(page, '.drawer .messages', '00 01 02 ff 41')
  await shows(page, '.drawer .messages', 'later')
  await shows(page, '.drawer .messages', 'never delivered')
  await shows(page, '.drawer .messages', 'due in')
  await page.click('.drawer >> text=as it is')
  await shows(page, '.drawer .messages', '{"order":17,"lines":[1,2]}')
  await page.keyboard.press('Escape')
  await page.locator('dialog').waitFor({ state: 'detached' })
  const { depth, deferred_count, message_count } = (await made.stats('orders')).channels[0]
  assert.deepEqual({ depth, deferred_count, message_count }, { depth: 2, deferred_count: 1, message_count: 3 })
})

test('what keeps one from looking is said, and not that there is nothing', async (t) => {
  const made = await cluster(t, { nsqdFlags: ['--auth-http-address=127.0.0.1:1'] })
  await made.topic('orders', ['mail'])
  await made.publish('orders', ['secret'])
  const page = await open(t, made, '/topics/orders/mail')
  await page.click('[data-action=peek]')
  await shows(page, '.drawer .caution', `${made.nodes[0].http} does not show messages: it has auth servers`)
  await shows(page, '.drawer .caution', '--nsqd-http-token-file')
  assert.equal(await page.locator('.drawer .none, .drawer .messages').count(), 0)
})

for (const [name, options] of [['light', LIGHT], ['dark', DARK]]) {
  test(`the drawer is readable: ${name}`, async (t) => {
    const made = await cluster(t)
    await made.topic('orders', ['mail'])
    await made.publish('orders', ['{"a":1}', 'text'])
    const page = await open(t, made, '/topics/orders/mail', options)
    await page.click('[data-action=peek]')
    await shows(page, '.drawer .messages', 'text')
    assert.deepEqual(await violations(page), [])
  })
}
