// Page: all topics.

import { config, link } from './config.js'
import { html, useMemo } from './preact.js'
import { foldTopics } from './history.js'
import { graphColumns } from './graphite.js'
import { useLive } from './live.js'
import { Trouble } from './notices.js'
import { Badge, Head, Loading, number, Paused, Tiles } from './panels.js'
import { Sparkline } from './sparkline.js'
import { Table } from './table.js'
import * as format from './format.js'

/** @typedef {import('./history.js').Row} Row */

/** @returns {import('./table.js').Column<Row>[]} */
const columns = () => [
  {
    key: 'name', title: 'Topic', text: true, value: (row) => row.topic_name,
    cell: (row) => html`<a class="name" href=${link('topics', row.topic_name)} title=${row.topic_name}>${row.topic_name}</a>
      ${row.paused && html`<${Paused} />`}
      ${row.nodes === 0 && html`<${Badge} kind="bad" title="Known to nsqlookupd, but no nsqd has it">no producer</${Badge}>`}`,
  },
  {
    key: 'depth', title: 'Waiting', width: 170, value: (row) => row.depth, hint: 'Messages in queues, of the topic and of its channels',
    cell: (row) => html`<span class="with-spark"><${Sparkline} samples=${row.samples.depth} kind="depth" full=${row.span} /><b class=${row.depth > 0 ? '' : 'zero'}>${format.count(row.depth)}</b></span>`,
  },
  {
    key: 'rate', title: 'In', width: 170, drop: 2, value: (row) => row.rate, hint: 'Messages published per second',
    cell: (row) => html`<span class="with-spark"><${Sparkline} samples=${row.samples.rate} kind="rate" full=${row.span} />${number(row.rate, format.rate)}</span>`,
  },
  { key: 'out', title: 'Out', width: 84, drop: 5, value: (row) => row.out, cell: (row) => number(row.out, format.rate), hint: 'Messages delivered by channels per second' },
  { key: 'flight', title: 'In flight', width: 86, drop: 4, value: (row) => row.in_flight_count, cell: (row) => number(row.in_flight_count) },
  { key: 'deferred', title: 'Deferred', width: 86, drop: 9, value: (row) => row.deferred_count, cell: (row) => number(row.deferred_count) },
  { key: 'messages', title: 'Messages', width: 112, drop: 7, value: (row) => row.message_count, cell: (row) => number(row.message_count) },
  { key: 'channels', title: 'Channels', width: 84, drop: 8, value: (row) => row.channels, cell: (row) => number(row.channels) },
  { key: 'clients', title: 'Consumers', width: 94, drop: 3, value: (row) => row.client_count, cell: (row) => number(row.client_count) },
  {
    key: 'worst', title: 'Mostly in', width: 240, drop: 1, text: true, value: (row) => row.worst?.channel_name, hint: 'Where most of the waiting messages are',
    cell: (row) =>
      row.worst && row.depth > 0 && row.worst.depth > 0
        ? html`<span class="worst"><b>${format.percent(row.worst.depth, row.depth)}</b> ${row.worst.channel_name
            ? html`<a href=${link('topics', row.topic_name, row.worst.channel_name)}>${row.worst.channel_name}</a>`
            : 'own queue'} <span class="muted">${row.worst.node}</span></span>`
        : '',
  },
  ...graphColumns('topic', (row) => [row.topic_name, '']),
]

export function TopicsPage() {
  const { data, trouble } = useLive({ view: 'topics' }, foldTopics)
  const rows = useMemo(() => [...(data?.rows.values() ?? [])], [data])
  const list = useMemo(columns, [])
  const sum = (/** @type {(row: Row) => number | null} */ of) => rows.reduce((total, row) => total + (of(row) ?? 0), 0)
  return html`<${Head} title="Topics" />
    ${trouble && html`<${Trouble} trouble=${trouble} />`}
    ${!data && !trouble && html`<${Loading} />`}
    ${data &&
    html`<${Tiles} items=${[
        ['Topics', format.count(rows.length)],
        ['Waiting', format.count(sum((row) => row.depth)), 'depth'],
        ['In flight', format.count(sum((row) => row.in_flight_count))],
        ['Messages in', format.rate(sum((row) => row.rate)), 'rate'],
        ['Messages out', format.rate(sum((row) => row.out))],
        ['Consumers', format.count(sum((row) => row.client_count))],
      ]} />
      <section class="card bare" aria-label="All topics">
        <${Table} name="topics" label="Topics" noun="topic" rows=${rows} columns=${list} rowKey=${(/** @type {Row} */ row) => row.topic_name}
          text=${(/** @type {Row} */ row) => row.topic_name} sort="name+"
          none=${html`<p>There is no topic yet. Publishing makes one:</p><pre>curl -d hello 'http://${config.nsqd[0] ?? 'NSQD:4151'}/pub?topic=greetings'</pre>`} />
      </section>`}`
}
