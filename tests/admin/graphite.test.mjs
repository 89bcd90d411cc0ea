// Graphs from a Graphite server, where there is one.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { cluster } from './daemons.mjs'
import { open, row, shows } from './page.mjs'

const PICTURE = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')

test('pictures for topics and channels, a rate for each node, over the time that was chosen', async (t) => {
  const asked = []
  const graphite = createServer((request, response) => {
    asked.push(new URL(request.url, 'http://graphite'))
    if (request.url.includes('format=json')) return response.end(JSON.stringify([{ target: 'x', datapoints: [[120, 1]] }]))
    response.setHeader('Content-Type', 'image/png')
    response.end(PICTURE)
  })
  graphite.listen(0, '127.0.0.1')
  await once(graphite, 'listening')
  t.after(() => graphite.close())
  const made = await cluster(t, { flags: [`--graphite-url=http://127.0.0.1:${graphite.address().port}`, '--proxy-graphite'] })
  await made.topic('orders', ['mail'])
  const page = await open(t, made, '/topics/orders?t=24h', { viewport: { width: 1700, height: 900 } })
  const picture = page.locator('img[alt="depth of mail, 24h"]')
  await picture.waitFor()
  await page.waitForFunction(() => document.querySelector('img').naturalWidth === 1)
  const small = new URL(await picture.getAttribute('src'), 'http://x')
  assert.equal(small.searchParams.get('from'), '-24h')
  assert.equal(small.searchParams.get('target'), 'summarize(sumSeries(stats.gauges.nsq.*.topic.orders.channel.mail.depth),"60sec","avg")')
  const large = new URL(await page.locator('a.graph').first().getAttribute('href'), 'http://x')
  assert.equal(large.searchParams.get('width'), '800')
  await row(page, made.nodes[0].http).filter({ hasText: '2.00' }).waitFor()
  const rate = asked.find((url) => url.searchParams.get('format') === 'json')
  const host = made.nodes[0].http.replace(/[.:]/g, '_')
  assert.equal(rate.searchParams.get('target'), `sumSeries(stats.counters.nsq.${host}.topic.orders.message_count.count)`)
  await page.selectOption('[name=interval]', '2h')
  await page.locator('img[alt="depth of mail, 2h"]').waitFor()
  await page.selectOption('[name=interval]', 'off')
  await page.locator('img').first().waitFor({ state: 'detached' })
  await page.click('nav >> text=Topics')
  await page.selectOption('[name=interval]', '1h')
  await page.locator('img[alt="depth of orders, 1h"]').waitFor()
  await shows(page, '.live', 'live')
})
