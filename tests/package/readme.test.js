// The examples of the package's README, as written: each prints what its last comments say.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const readme = readFileSync(new URL('node_modules/sansq/README.md', import.meta.url), 'utf8')
const examples = [...readme.matchAll(/^## (.*)\n\n```js\n([^]*?)```/gm)]

it('has three examples', () => {
  assert.equal(examples.length, 3)
})

for (const [, title, code] of examples) {
  it(title, async (t) => {
    const file = fileURLToPath(new URL(`.example-${process.pid}.mjs`, import.meta.url))
    t.after(() => rm(file))
    await writeFile(file, code)
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 20_000 })
    const expected = code.split('\n').filter((line) => line.startsWith('// ')).map((line) => `${line.slice(3)}\n`)
    assert.ok(expected.length > 0)
    assert.equal(stdout, expected.join(''))
  })
}
