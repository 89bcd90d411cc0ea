// Numbers, durations and sizes as people read them.

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

/**
 * 1,234,567; a dash for what is not known.
 * @param {number | null | undefined} value
 */
export const count = (value) => (value == null ? '–' : whole.format(value))

/**
 * 1.2M, where there is little room.
 * @param {number} value
 */
export const brief = (value) => (Math.abs(value) < 10_000 ? whole.format(value) : short.format(value))

/**
 * 1,234/s; one decimal below ten.
 * @param {number | null | undefined} value
 */
export function rate(value) {
  if (value == null) return '–'
  if (value === 0) return '0/s'
  if (value < 0.1) return '<0.1/s'
  return `${value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : whole.format(value)}/s`
}

/**
 * "1 message", "2,000 messages".
 * @param {number} value
 * @param {string} noun
 * @param {string} [plural]
 */
export const many = (value, noun, plural = `${noun}s`) => `${count(value)} ${value === 1 ? noun : plural}`

/**
 * 94 %; never 100 for less than all, nor 0 for more than nothing.
 * @param {number} part
 * @param {number} total
 */
export function percent(part, total) {
  if (total === 0 || part === 0) return '0 %'
  if (part === total) return '100 %'
  const value = Math.min(99, Math.round((100 * part) / total))
  return value === 0 ? '<1 %' : `${value} %`
}

/** @type {[string, number, string, number][]} */
const UNITS = [
  ['d', 86_400_000, 'h', 3_600_000],
  ['h', 3_600_000, 'min', 60_000],
  ['min', 60_000, 's', 1000],
]

/**
 * 3 h 12 min, 4.2 s, 12 ms, 85 µs.
 * @param {number} ms
 */
export function duration(ms) {
  for (const [large, size, small, part] of UNITS) {
    if (ms < size) continue
    const rest = Math.floor((ms % size) / part)
    return `${Math.floor(ms / size)} ${large}${rest > 0 ? ` ${rest} ${small}` : ''}`
  }
  if (ms >= 1000) return `${trim(ms / 1000)} s`
  if (ms >= 1) return `${trim(ms)} ms`
  return ms > 0 ? `${Math.ceil(ms * 1000)} µs` : '0 ms'
}

/** @param {number} value */
const trim = (value) => (value < 10 ? value.toFixed(1).replace(/\.0$/, '') : whole.format(value))

/**
 * 512 B, 12.3 KiB.
 * @param {number} value
 */
export function bytes(value) {
  if (value < 1024) return `${value} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let at = -1
  do {
    value /= 1024
    at += 1
  } while (value >= 1024 && at < units.length - 1)
  return `${trim(value)} ${units[at]}`
}

/**
 * "a, b and c"; of more than `limit`, the first ones and how many are left out.
 * @param {string[]} items
 * @param {number} [limit]
 */
export function listing(items, limit = 6) {
  const shown = items.length > limit ? [...items.slice(0, limit - 1), `${items.length - limit + 1} more`] : items
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown[shown.length - 1]}`
}

/**
 * The name of a quantile: 99th, 99.9th.
 * @param {number} quantile
 */
export function ordinal(quantile) {
  const value = Number((quantile * 100).toFixed(4))
  const last = Number.isInteger(value) && Math.floor(value / 10) % 10 !== 1 ? value % 10 : 0
  return `${value}${['th', 'st', 'nd', 'rd'][last] ?? 'th'}`
}
