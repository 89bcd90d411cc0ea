// Graphs that a Graphite server draws from nsqd's statsd metrics, where one is configured. Without it nothing here shows.

import { api, config } from './config.js'
import { html, useEffect, useState } from './preact.js'
import { kept, useStore } from './store.js'

export const INTERVALS = ['1h', '2h', '12h', '24h', '48h', '168h', 'off']

const asked = new URLSearchParams(location.search).get('t')
const chosen = kept('graph_interval', '2h')
if (asked && INTERVALS.includes(asked)) chosen.set(asked)

/** The interval that graphs span; 'off' for none. */
export const useInterval = () => {
  const value = useStore(chosen)
  return config.graph_enabled ? value : 'off'
}

/** The choice in the page's header. */
export function IntervalChoice() {
  const value = useInterval()
  if (!config.graph_enabled) return null
  return html`<label class="interval"><span class="hidden">Graphs span</span>
    <select name="interval" value=${value} onChange=${(/** @type {any} */ event) => chosen.set(event.target.value)}>
      ${INTERVALS.map((one) => html`<option value=${one} selected=${one === value}>${one === 'off' ? 'graphs off' : one}</option>`)}
    </select></label>`
}

/** As statsd does. @param {string} name */
const key = (name) => name.replace(/ /g, '_').replace(/\//g, '-').replace(/[^a-zA-Z0-9\-_.]/g, '')

/** Which of nsqd's metrics are counters; the others are gauges. */
const COUNTERS = new Set(['requeue_count', 'timeout_count', 'message_count', 'gc_runs'])

/**
 * What Graphite is asked for: a metric of a topic or channel, of one node or, for '*', all of them.
 * @param {string} metric
 * @param {string} node
 * @param {string} topic
 * @param {string} [channel]
 */
export function target(metric, node, topic, channel) {
  let prefix = config.statsd_prefix.replace(/%s/g, node.replace(/[.:]/g, '_'))
  if (!prefix.endsWith('.')) prefix += '.'
  const path = `${prefix}topic.${key(topic)}${channel ? `.channel.${key(channel)}` : ''}.${metric}`
  const format = COUNTERS.has(metric) ? config.statsd_counter_format : config.statsd_gauge_format
  return `sumSeries(${format.replace(/%s/g, path)})`
}

/**
 * The address of a picture.
 * @param {string} metric
 * @param {string} series
 * @param {string} span
 * @param {boolean} large
 */
function picture(metric, series, span, large) {
  const interval = config.statsd_interval
  const scaled = large && COUNTERS.has(metric) ? `scale(${series},${1 / interval})` : series
  /** @type {Record<string, string>} */
  const look = large
    ? { height: '450', width: '800', fgcolor: '999999' }
    : { height: '20', width: '120', fgcolor: 'black', margin: '0', hideGrid: 'true', hideLegend: 'true', hideAxes: 'true' }
  const query = new URLSearchParams({
    ...look,
    colorList: metric === 'depth' || metric === 'deferred_count' ? 'red' : 'blue',
    bgcolor: 'ff000000',
    yMin: '0',
    lineMode: 'connected',
    drawNullAsZero: 'false',
    from: `-${span}`,
    until: '-1min',
    target: `summarize(${scaled},"${interval}sec","avg")`,
  })
  return `${config.graphite_url || config.base_path.replace(/\/+$/, '')}/render?${query}`
}

/** @param {{ metric: string, node: string, topic: string, channel: string }} props */
function Graph({ metric, node, topic, channel }) {
  const span = useInterval()
  if (span === 'off') return null
  const series = target(metric, node, topic, channel)
  return html`<a class="graph" href=${picture(metric, series, span, true)} target="_blank" rel="noopener">
    <img width="120" height="20" loading="lazy" src=${picture(metric, series, span, false)} alt=${`${metric} of ${channel || topic}, ${span}`} /></a>`
}

/**
 * Columns with a graph each, for a table of topics or channels.
 * @param {'topic' | 'channel'} kind
 * @param {(row: any) => [string, string]} names
 * @returns {import('./table.js').Column<any>[]}
 */
export function graphColumns(kind, names) {
  if (!config.graph_enabled) return []
  return ['depth', 'message_count'].map((metric) => ({
    key: `graph-${metric}`,
    title: metric === 'depth' ? 'Depth (graphite)' : 'Messages (graphite)',
    width: 150,
    drop: 4,
    cell: (row) => html`<${Graph} metric=${metric} node=${row.node ?? '*'} topic=${names(row)[0]} channel=${kind === 'channel' ? names(row)[1] : ''} />`,
  }))
}

/** Between two looks at a rate, in ms. */
const EVERY = 10_000

/**
 * Messages per second as Graphite has them.
 * @param {{ kind: string, node: string, topic: string, channel?: string }} props
 */
export function Rate({ node, topic, channel }) {
  const span = useInterval()
  const [rate, setRate] = useState('')
  useEffect(() => {
    if (span === 'off') return
    const abort = new AbortController()
    const query = new URLSearchParams({ metric: 'rate', target: target('message_count', node, topic, channel) })
    const look = () =>
      fetch(`${api('graphite')}?${query}`, { signal: abort.signal })
        .then((response) => response.json())
        .then((answer) => setRate(answer.rate ?? '–'))
        .catch(() => setRate('–'))
    look()
    const timer = setInterval(look, EVERY)
    return () => {
      clearInterval(timer)
      abort.abort()
    }
  }, [node, topic, channel, span])
  return html`<span>${span === 'off' ? '–' : rate}</span>`
}
