// Samples of the last minutes, for sparklines: what comes with the first state, and what each later one adds.

/** @typedef {import('./types.js').TopicRow} TopicRow */
/** @typedef {import('./types.js').TopicsEvent} TopicsEvent */
/** @typedef {(number | null)[]} Samples */

/** As many as the daemon keeps. */
const SAMPLES = 120
/** With more topics than this, the first state has fewer. */
const MANY = 200
const FEW = 20

/**
 * A row with its samples, and the time, counted in samples, of the last of them.
 * @typedef {TopicRow & { samples: { depth: Samples, rate: Samples }, clock: number, span: number }} Row
 */
/** `span`: samples that are shown. @typedef {{ rows: Map<string, Row>, clock: number, span: number }} Topics */

/**
 * The topics after an event. The rows of topics that did not change stay the same objects.
 * @param {Topics | null} before
 * @param {TopicsEvent} event
 * @returns {Topics}
 */
export function foldTopics(before, event) {
  if (!before || !event.partial) {
    const longest = event.topics.reduce((most, { history }) => Math.max(most, history?.depth.length ?? 0), FEW)
    const span = event.topics.length > MANY ? longest : SAMPLES
    return { rows: new Map(event.topics.map((row) => [row.topic_name, begin(row, 0, span)])), clock: 0, span }
  }
  const { span } = before
  const rows = new Map(before.rows)
  const clock = before.clock + (event.samples ?? 1)
  for (const name of event.removed ?? []) rows.delete(name)
  for (const row of event.topics) {
    const known = rows.get(row.topic_name)
    rows.set(row.topic_name, known ? goOn(known, row, clock) : begin(row, clock, span))
  }
  return { rows, clock, span }
}

/**
 * @param {TopicRow} row
 * @param {number} clock
 * @param {number} span
 * @returns {Row}
 */
function begin(row, clock, span) {
  const { depth, rate } = row.history ?? row.append ?? { depth: [], rate: [] }
  return { ...row, samples: { depth: depth.slice(-span), rate: rate.slice(-span) }, clock, span }
}

/**
 * @param {Row} known
 * @param {TopicRow} row
 * @param {number} clock
 * @returns {Row}
 */
function goOn(known, row, clock) {
  const { depth, rate } = row.append ?? { depth: [], rate: [] }
  const { span } = known
  // It was not spoken of in between, for nothing had changed.
  const same = Math.min(span, Math.max(0, clock - known.clock - depth.length))
  const join = (/** @type {Samples} */ old, /** @type {Samples} */ fresh) =>
    [...old, .../** @type {Samples} */ (Array(same).fill(old.length ? old[old.length - 1] : null)), ...fresh].slice(-span)
  return { ...row, samples: { depth: join(known.samples.depth, depth), rate: join(known.samples.rate, rate) }, clock, span }
}
