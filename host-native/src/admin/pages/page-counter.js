// Page: how many messages went through channels, as one number that moves.

import { link } from './config.js'
import { html, useEffect, useMemo, useRef, useState } from './preact.js'
import { useLive } from './live.js'
import { Trouble } from './notices.js'
import { Head, Loading, number } from './panels.js'
import { Chart } from './sparkline.js'
import { useMedia } from './store.js'
import { Table } from './table.js'
import * as format from './format.js'

/** @typedef {import('./types.js').CounterEvent} CounterEvent */
/** @typedef {{ topic: string, channel: string, nodes: number, count: number }} Line */

/** How often a number that nobody wants animated moves, in ms, is how often it comes. */
const STILL = '(prefers-reduced-motion: reduce)'

/**
 * A number that runs to the total, and goes on at the last known rate until the next one comes.
 * @param {number} total
 * @param {number} rate per second
 */
function useRunning(total, rate) {
  const still = useMedia(STILL)
  const [shown, setShown] = useState(total)
  const now = useRef(total)
  useEffect(() => {
    if (still || total < now.current) {
      now.current = total
      setShown(total)
      return
    }
    const [from, start] = [now.current, performance.now()]
    let frame = 0
    const step = () => {
      const seconds = (performance.now() - start) / 1000
      const caught = Math.min(1, seconds)
      // Catches up within a second, and never counts further ahead than two seconds' worth.
      now.current = Math.floor(from + (total - from) * caught + rate * Math.min(2, Math.max(0, seconds - 1)))
      setShown(now.current)
      if (seconds < 3) frame = requestAnimationFrame(step)
    }
    frame = requestAnimationFrame(step)
    return () => cancelAnimationFrame(frame)
  }, [total, rate, still])
  return shown
}

/** @returns {import('./table.js').Column<Line>[]} */
const columns = () => [
  { key: 'topic', title: 'Topic', text: true, value: (row) => row.topic, cell: (row) => html`<a class="name" href=${link('topics', row.topic)}>${row.topic}</a>` },
  { key: 'channel', title: 'Channel', text: true, value: (row) => row.channel, cell: (row) => html`<a class="name" href=${link('topics', row.topic, row.channel)}>${row.channel}</a>` },
  { key: 'nodes', title: 'Nodes', width: 80, drop: 1, value: (row) => row.nodes, cell: (row) => number(row.nodes) },
  { key: 'count', title: 'Messages', width: 130, value: (row) => row.count, cell: (row) => number(row.count) },
]

/** @param {CounterEvent | null} event */
function linesOf(event) {
  /** @type {Map<string, Line>} */
  const lines = new Map()
  for (const { topic_name: topic, channel_name: channel, message_count } of Object.values(event?.stats ?? {})) {
    const key = `${topic}:${channel}`
    const line = lines.get(key) ?? { topic, channel, nodes: 0, count: 0 }
    line.nodes += 1
    line.count += message_count
    lines.set(key, line)
  }
  return [...lines.values()]
}

export function CounterPage() {
  const { data, trouble } = useLive(/** @type {Record<string, string>} */ ({ view: 'counter' }))
  const event = /** @type {CounterEvent | null} */ (data)
  const lines = useMemo(() => linesOf(event), [event])
  const list = useMemo(columns, [])
  return html`<${Head} title="Counter" />
    ${trouble && html`<${Trouble} trouble=${trouble} />`}
    ${!data && !trouble && html`<${Loading} />`}
    ${event &&
    html`<section class="card counter" aria-label="Total">
        <${Running} total=${event.total} rate=${event.rate ?? 0} />
        <p class="muted">messages have gone through all channels of the cluster; ${format.rate(event.rate)} just now</p>
        <${Chart} title="Messages" kind="rate" samples=${event.history?.rate} interval=${event.history?.interval_ms ?? 2000} show=${format.rate} now=${format.rate(event.rate)} />
      </section>
      <section class="card bare" aria-label="By channel">
        <${Table} name="counter" label="By channel" noun="channel" rows=${lines} columns=${list} rowKey=${(/** @type {Line} */ row) => `${row.topic}:${row.channel}`}
          text=${(/** @type {Line} */ row) => `${row.topic} ${row.channel}`} sort="count-" none="There is no channel yet." />
      </section>`}`
}

/** @param {{ total: number, rate: number }} props */
function Running({ total, rate }) {
  const shown = useRunning(total, rate)
  return html`<p class="running" data-total=${total}>${format.count(shown)}</p>`
}
