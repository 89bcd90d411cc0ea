// Samples of the last minutes, for sparklines: what comes with the first state, and what each later one adds.

/** @typedef {import('./types.js').TopicRow} TopicRow */
/** @typedef {import('./types.js').TopicsEvent} TopicsEvent */
/** @typedef {(number | null)[]} Samples */

/** As many as the daemon keeps. */
const SAMPLES = 120

/**
 * A row with its samples, and the state that brought the last of them.
 * @typedef {TopicRow & { samples: { depth: Samples, rate: Samples }, tick: number }} Row
 */
/** @typedef {{ rows: Map<string, Row>, tick: number, interval: number }} Topics */

/**
 * The topics after an event. The rows of topics that did not change stay the same objects.
 * @param {Topics | null} before
 * @param {TopicsEvent} event
 * @returns {Topics}
 */
export function foldTopics(before, event) {
  if (!before || !event.partial) {
    const tick = (before?.tick ?? 0) + 1
    const rows = event.topics.map((row) => /** @type {[string, Row]} */ ([row.topic_name, begin(row, tick)]))
    return { rows: new Map(rows), tick, interval: event.topics[0]?.history?.interval_ms ?? before?.interval ?? 2000 }
  }
  const rows = new Map(before.rows)
  const tick = before.tick + 1
  for (const name of event.removed ?? []) rows.delete(name)
  for (const row of event.topics) {
    const known = rows.get(row.topic_name)
    rows.set(row.topic_name, known ? goOn(known, row, tick) : begin(row, tick))
  }
  return { rows, tick, interval: before.interval }
}

/**
 * @param {TopicRow} row
 * @param {number} tick
 * @returns {Row}
 */
function begin(row, tick) {
  const { depth, rate } = row.history ?? row.append ?? { depth: [], rate: [] }
  return { ...row, samples: { depth, rate }, tick }
}

/**
 * @param {Row} known
 * @param {TopicRow} row
 * @param {number} tick
 * @returns {Row}
 */
function goOn(known, row, tick) {
  const { depth, rate } = row.append ?? row.history ?? { depth: [row.depth], rate: [row.rate] }
  // It was not spoken of in between, for nothing had changed.
  const same = Math.min(SAMPLES, tick - known.tick - 1)
  const join = (/** @type {Samples} */ old, /** @type {Samples} */ fresh) =>
    [...old, .../** @type {Samples} */ (Array(same).fill(old.length ? old[old.length - 1] : null)), ...fresh].slice(-SAMPLES)
  return { ...row, samples: { depth: join(known.samples.depth, depth), rate: join(known.samples.rate, rate) }, tick }
}
