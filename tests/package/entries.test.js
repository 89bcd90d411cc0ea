// The installed package as other programs use it: each way of importing it, its types, and what its tarball holds.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'

const run = promisify(execFile)
const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const installed = here('node_modules/sansq')

/** Bytes, compressed, that a page may have to load for each module. */
const WASM_GZIP_MAX = { 'sansq.wasm': 152 * 1024, 'simulation.wasm': 290 * 1024 }

for (const entry of ['esm.mjs', 'cjs.cjs', 'slim.mjs', 'slim.cjs']) {
  it(`works in Node as ${entry}`, async () => {
    const { stdout } = await run(process.execPath, [here(`entries/${entry}`)])
    assert.equal(stdout, 'hello\n5000\n')
  })
}

it('has types that say what it takes and gives, for every kind of import', async () => {
  const tsc = here('node_modules/typescript/bin/tsc')
  const projects = ['entries/tsconfig.json', 'entries/tsconfig.bundler.json']
  await Promise.all(projects.map((project) => run(process.execPath, [tsc, '--project', here(project)])))
})

it('is packed as the tools of the ecosystem want it', async () => {
  await run(process.execPath, [here('node_modules/publint/src/cli.js'), installed, '--strict'])
})

it('has one copy of each module, which is small', async (t) => {
  const files = await readdir(installed, { recursive: true })
  assert.deepEqual(files.filter((file) => file.endsWith('.wasm')).sort(), Object.keys(WASM_GZIP_MAX))
  for (const [file, max] of Object.entries(WASM_GZIP_MAX)) {
    const size = gzipSync(await readFile(`${installed}/${file}`), { level: 9 }).length
    t.diagnostic(`${file}: ${(size / 1024).toFixed(1)} KiB`)
    assert.ok(size <= max, `${file}: ${size} bytes`)
  }
})
