// The installed package in Chromium: bundled by Vite, and on a page that loads its files as they are.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { after, before, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { build } from 'vite'

import { nativeRuns } from './native.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }
/** As root, and without a network. */
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-sync']

let browser
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.SANSQ_CHROMIUM || '/usr/bin/chromium', args: FLAGS })
})
after(() => browser.close())

/** Serves the files of a directory until the end of test `t`. */
async function serve(t, directory) {
  const server = createServer(async (request, response) => {
    try {
      const { pathname } = new URL(request.url, 'http://localhost')
      const body = await readFile(join(directory, pathname))
      response.writeHead(200, { 'Content-Type': TYPES[extname(pathname)] ?? 'text/plain' }).end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${server.address().port}`
}

/** Opens a page, has it use the package and looks at what came of it. */
async function check(t, url) {
  const page = await browser.newPage()
  t.after(() => page.close())
  const complaints = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('response', (response) => response.ok() || complaints.push(`${response.status()} ${response.url()}`))
  await page.goto(url)
  await page.waitForFunction(() => document.title === 'ready', undefined, { timeout: 15_000 }).catch(() => complaints.push('not ready'))
  assert.deepEqual(complaints, [])
  const { seen, refusal, differing, rate } = await page.evaluate((runs) => window.use(runs), nativeRuns())
  assert.deepEqual(seen, [['in an hour', 3_600_000]])
  assert.deepEqual(refusal, [true, 'E_ACTION'])
  assert.deepEqual(differing, [])
  t.diagnostic(`${(rate / 1e6).toFixed(2)} M deliveries/s`)
  assert.deepEqual(complaints, [])
}

it('works bundled by Vite', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'sansq-page-'))
  t.after(() => rm(directory, { recursive: true }))
  await build({ root: join(here, 'page'), base: './', logLevel: 'warn', build: { outDir: directory, emptyOutDir: true } })
  const wasm = (await readdir(join(directory, 'assets'))).filter((file) => file.endsWith('.wasm'))
  assert.deepEqual(wasm.map((file) => file.split('-')[0]).sort(), ['sansq', 'simulation'])
  await check(t, `${await serve(t, directory)}/index.html`)
})

it('works on a page without a bundler', async (t) => {
  await check(t, `${await serve(t, here)}/page/plain.html`)
})
