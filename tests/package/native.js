// What native builds have run: SANSQ_HASHES, lines `SCENARIO SEED HASH`, and the kept seeds, lines `SEED HASH`.

import { existsSync, readFileSync } from 'node:fs'

const KEPT = new URL('../seeds.txt', import.meta.url)

function lines(path) {
  const text = readFileSync(path, 'utf8')
  return text.split('\n').map((line) => line.split('#')[0].trim()).filter((line) => line !== '').map((line) => line.split(/\s+/))
}

/** `{ scenario, seed, hash }` each. */
export function nativeRuns() {
  const scenarios = lines(process.env.SANSQ_HASHES).map(([scenario, seed, hash]) => ({ scenario, seed, hash }))
  const kept = existsSync(KEPT) ? lines(KEPT).map(([seed, hash]) => ({ scenario: 'swarm', seed, hash })) : []
  return [...scenarios, ...kept]
}
