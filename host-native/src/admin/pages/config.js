// What the daemon tells the page, and the addresses that follow from it.

/**
 * @typedef {object} Config
 * @property {string} version
 * @property {string} base_path
 * @property {boolean} is_admin
 * @property {string | null} user
 * @property {string[]} lookupd
 * @property {string[]} nsqd
 * @property {boolean} graph_enabled
 * @property {string} graphite_url
 * @property {string} statsd_counter_format
 * @property {string} statsd_gauge_format
 * @property {number} statsd_interval seconds
 * @property {string} statsd_prefix
 * @property {number} live_interval_ms
 */

/** @type {Config} */
export const config = JSON.parse(document.getElementById('config')?.textContent ?? '{}')

const base = config.base_path.replace(/\/+$/, '')

/**
 * The address of a page: `link('topics', name)`.
 * @param {string[]} parts
 */
export const link = (...parts) => `${base}/${parts.map(encodeURIComponent).join('/')}`

/**
 * The address of an API call.
 * @param {string[]} parts
 */
export const api = (...parts) => link('api', ...parts)

/**
 * The decoded parts of a path below the base path; null for one outside.
 * @param {string} path
 */
export function partsOf(path) {
  if (path !== base && !path.startsWith(`${base}/`)) return null
  try {
    return path.slice(base.length).split('/').filter(Boolean).map(decodeURIComponent)
  } catch {
    return null
  }
}
