// Page: all nsqds that nsqlookupd knows, or that were named.

import { config, link } from './config.js'
import { html, useMemo } from './preact.js'
import { ask } from './dialogs.js'
import { useLive } from './live.js'
import { Trouble } from './notices.js'
import { Badge, Head, Loading, number, Tiles } from './panels.js'
import { Table } from './table.js'
import * as format from './format.js'

/** @typedef {import('./types.js').Producer} Producer */

/** @param {Producer} row */
export const nodeName = ({ broadcast_address: host, http_port }) => `${host.includes(':') ? `[${host}]` : host}:${http_port}`

/** @param {Producer} row */
const known = (row) => row.remote_addresses?.length ?? 0

/** @param {Producer} row */
const tombstoned = (row) => (row.topics ?? []).filter((topic) => topic.tombstoned)

/**
 * How many of the configured nsqlookupds know it; a click says which.
 * @param {Producer} row
 */
function Lookupds(row) {
  const all = config.lookupd.length
  const list = (row.remote_addresses ?? []).map((pair) => pair.split('/')[0])
  const missing = config.lookupd.filter((address) => !list.includes(address))
  const tell = () =>
    ask({
      title: `Registrations of ${nodeName(row)}`,
      body: html`<ul>${list.map((address) => html`<li>known to nsqlookupd <b>${address}</b></li>`)}
        ${missing.map((address) => html`<li class="caution">not known to nsqlookupd <b>${address}</b></li>`)}</ul>`,
      action: 'Close',
    })
  return html`<button type="button" class="plain-link ${known(row) === all ? '' : 'alarm'}" data-lookupds onClick=${tell}>${known(row)} of ${all}</button>`
}

/** @param {Producer} row */
function Topics(row) {
  const stones = tombstoned(row)
  const tell = () =>
    ask({
      title: `Tombstoned on ${nodeName(row)}`,
      body: html`<p>Consumers are not sent there for these topics, for a while after they were taken off the node.</p>
        <ul>${stones.map(({ topic }) => html`<li><a href=${link('topics', topic)}>${topic}</a></li>`)}</ul>`,
      action: 'Close',
    })
  return html`${stones.length > 0 && html`<button type="button" class="badge paused" data-tombstoned onClick=${tell}>${stones.length} tombstoned</button>`}
    ${' '}${format.count(row.topics?.length ?? 0)}`
}

/** @returns {import('./table.js').Column<Producer>[]} */
const columns = () => [
  {
    key: 'node', title: 'Node', text: true, value: nodeName,
    cell: (row) => html`<a class="name" href=${link('nodes', nodeName(row))}>${nodeName(row)}</a>
      ${row.reachable === false && html`<${Badge} kind="bad" title=${row.error}>does not answer</${Badge}>`}`,
  },
  { key: 'host', title: 'Host', width: 120, text: true, drop: 5, value: (row) => row.hostname, cell: (row) => html`<span class="name">${row.hostname}</span>` },
  { key: 'tcp', title: 'TCP', width: 72, drop: 7, value: (row) => row.tcp_port, cell: (row) => row.tcp_port },
  {
    key: 'version', title: 'Version', width: 130, text: true, drop: 2, value: (row) => row.version,
    cell: (row) => html`${row.version}${row.out_of_date && html`<${Badge} kind="paused" title="Another node has a newer version">out of date</${Badge}>`}`,
  },
  {
    key: 'place', title: 'Region / zone', width: 120, text: true, drop: 4, value: (row) => `${row.topology_region ?? ''} ${row.topology_zone ?? ''}`,
    cell: (row) => [row.topology_region, row.topology_zone].filter(Boolean).join(' / ') || html`<span class="zero">–</span>`,
  },
  { key: 'lookupds', title: 'nsqlookupds', width: 100, drop: 3, hidden: config.lookupd.length === 0, value: known, cell: Lookupds, hint: 'How many of the nsqlookupds know it' },
  { key: 'topics', title: 'Topics', width: 140, value: (row) => row.topics?.length ?? 0, cell: Topics, drop: 1 },
  { key: 'depth', title: 'Waiting', width: 90, value: (row) => row.depth, cell: (row) => html`<b class=${row.depth ? '' : 'zero'}>${format.count(row.depth)}</b>` },
  { key: 'rate', title: 'In', width: 80, value: (row) => row.rate, cell: (row) => number(row.rate, format.rate) },
  { key: 'messages', title: 'Messages', width: 104, drop: 2, value: (row) => row.message_count, cell: (row) => number(row.message_count) },
  { key: 'clients', title: 'Connections', width: 104, drop: 3, value: (row) => row.client_count, cell: (row) => number(row.client_count) },
]

/** @param {Producer} row */
const kind = (row) => (row.reachable === false ? 'dead' : row.out_of_date ? 'old' : '')

export function NodesPage() {
  const { data, trouble } = useLive(/** @type {Record<string, string>} */ ({ view: 'nodes' }))
  const list = useMemo(columns, [])
  const nodes = /** @type {Producer[]} */ (/** @type {any} */ (data)?.nodes ?? [])
  const sum = (/** @type {(row: Producer) => number | null | undefined} */ of) => nodes.reduce((total, row) => total + (of(row) ?? 0), 0)
  const silent = nodes.filter(({ reachable }) => reachable === false).length
  return html`<${Head} title="Nodes" />
    ${trouble && html`<${Trouble} trouble=${trouble} />`}
    ${!data && !trouble && html`<${Loading} />`}
    ${data &&
    html`<${Tiles} items=${[
        ['Nodes', format.count(nodes.length)],
        ['Not answering', format.count(silent), silent ? 'bad' : ''],
        ['Waiting', format.count(sum((row) => row.depth)), 'depth'],
        ['Messages in', format.rate(sum((row) => row.rate)), 'rate'],
        ['Connections', format.count(sum((row) => row.client_count))],
      ]} />
      <section class="card bare" aria-label="All nodes">
        <${Table} name="nodes" label="Nodes" noun="node" rows=${nodes} columns=${list} rowKey=${nodeName} rowClass=${kind} sort="node+"
          text=${(/** @type {Producer} */ row) => `${nodeName(row)} ${row.hostname} ${row.version} ${row.topology_region ?? ''} ${row.topology_zone ?? ''}`}
          none="No nsqd is registered." />
      </section>`}`
}
