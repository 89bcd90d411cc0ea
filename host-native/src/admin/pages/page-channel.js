// Page: one channel, on all nodes, with its consumers.

import { config, link } from './config.js'
import { html, useMemo, useState } from './preact.js'
import { deleteChannel, emptyChannel, pauseChannel } from './actions.js'
import { clientName, ofChannel, pace } from './backlog.js'
import { graphColumns, Rate } from './graphite.js'
import { icon } from './icons.js'
import { useLive } from './live.js'
import { Trouble } from './notices.js'
import { Action, BacklogCard, Badge, Card, Charts, Head, latencyColumns, Loading, number, Paused, split, Tiles } from './panels.js'
import { NodeName } from './page-topic.js'
import { PeekDrawer } from './peek.js'
import { Table } from './table.js'
import * as format from './format.js'

/** @typedef {import('./types.js').ChannelStats} ChannelStats */
/** @typedef {import('./types.js').ChannelEvent} ChannelEvent */
/** @typedef {import('./backlog.js').RatedClient} RatedClient */
/** @typedef {{ event: ChannelEvent, channel: ChannelStats, states: { at: number, finished: Map<string, number> }[] }} Kept */

/**
 * @param {Kept | null} before
 * @param {ChannelEvent} event
 * @returns {Kept}
 */
function fold(before, event) {
  const { states, rated } = pace(before?.states ?? [], event.at, event.channel.clients ?? [])
  return { event, states, channel: { ...event.channel, clients: rated } }
}

/**
 * Where deliveries went, seen from the nodes: same zone, same region, further.
 * @param {ChannelStats} row
 */
function Locality({ zone_local_msg_count: zone = 0, region_local_msg_count: region = 0, global_msg_count: global = 0 }) {
  const all = zone + region + global
  if (all === 0) return html`<span class="zero">–</span>`
  const parts = /** @type {const} */ ([['zone', zone], ['region', region], ['global', global]])
  const text = parts.map(([name, value]) => `${name} ${format.count(value)} (${format.percent(value, all)})`).join(', ')
  return html`<span class="locality" role="img" aria-label=${text} title=${text}>
    ${parts.map(([name, value]) => value > 0 && html`<i class=${name} style=${{ width: `${(100 * value) / all}%` }}></i>`)}</span>`
}

/**
 * Whether anything went to a consumer near its node: elsewhere nobody says where he is.
 * @param {ChannelStats | undefined} channel
 */
const isLocated = (channel) => !!channel?.zone_local_msg_count || !!channel?.region_local_msg_count

/**
 * @param {ChannelStats | undefined} channel
 * @returns {import('./table.js').Column<ChannelStats>[]}
 */
const nodeColumns = (channel) => [
  {
    key: 'node', title: 'Node', text: true, value: (row) => row.node,
    cell: (row) => (row.node === '*' ? html`<b>All nodes</b>` : html`<${NodeName} row=${row} />${row.paused && html`<${Paused} />`}`),
  },
  { key: 'depth', title: 'Waiting', width: 100, value: (row) => row.depth, cell: (row) => html`<b class=${row.depth ? '' : 'zero'}>${format.count(row.depth)}</b>` },
  { key: 'split', title: 'Memory + disk', width: 130, drop: 6, value: (row) => row.backend_depth, cell: split },
  { key: 'flight', title: 'In flight', width: 86, value: (row) => row.in_flight_count, cell: (row) => number(row.in_flight_count) },
  { key: 'deferred', title: 'Deferred', width: 86, drop: 4, value: (row) => row.deferred_count, cell: (row) => number(row.deferred_count) },
  { key: 'requeued', title: 'Requeued', width: 90, drop: 5, value: (row) => row.requeue_count, cell: (row) => number(row.requeue_count) },
  { key: 'timedout', title: 'Timed out', width: 90, drop: 5, value: (row) => row.timeout_count, cell: (row) => number(row.timeout_count) },
  { key: 'messages', title: 'Messages', width: 112, drop: 2, value: (row) => row.message_count, cell: (row) => number(row.message_count) },
  { key: 'rate', title: 'In', width: 84, drop: 3, value: (row) => row.rate, cell: (row) => number(row.rate, format.rate) },
  { key: 'out', title: 'Out', width: 84, drop: 2, value: (row) => row.out, cell: (row) => number(row.out, format.rate) },
  {
    key: 'clients', title: 'Consumers', width: 94, value: (row) => row.client_count,
    cell: (row) => (row.client_count ? format.count(row.client_count) : html`<b class=${row.depth ? 'alarm' : 'zero'}>0</b>`),
  },
  {
    key: 'locality', title: 'Delivered to', width: 120, drop: 4, hidden: !isLocated(channel), hint: 'Same zone, same region, further away',
    value: (row) => row.zone_local_msg_count ?? 0, cell: (row) => html`<${Locality} ...${row} />`,
  },
  ...latencyColumns(channel?.e2e_processing_latency),
  ...graphColumns('channel', (row) => [row.topic_name, row.channel_name]),
  {
    key: 'graph-rate', title: 'Rate (graphite)', width: 110, drop: 4, hidden: !config.graph_enabled,
    cell: (row) => html`<${Rate} kind="channel" node=${row.node} topic=${row.topic_name} channel=${row.channel_name} />`,
  },
]

/** @param {RatedClient} row */
const place = (row) => [row.topology_region, row.topology_zone].filter(Boolean).join(' / ')

/**
 * How near a consumer is to its node: '' where one of them does not say where it is.
 * @param {RatedClient} row
 */
function nearness(row) {
  if (!row.topology_region || row.topology_region !== row.node_topology_region) return ''
  return row.topology_zone && row.topology_zone === row.node_topology_zone ? 'zone' : 'region'
}

/** @param {RatedClient} row */
function attributes(row) {
  const near = nearness(row)
  const tls = [row.tls_version, row.tls_cipher_suite].filter(Boolean).join(' ')
  const who = row.auth_identity || 'yes'
  // An address that an authorization server gives may be anything.
  const safe = /^https?:/.test(row.auth_identity_url) ? row.auth_identity_url : ''
  return html`${row.sample_rate > 0 && html`<${Badge}>sampled ${row.sample_rate} %</${Badge}>`}
    ${row.tls && html`<${Badge} title=${tls}>TLS</${Badge}>`}
    ${row.deflate && html`<${Badge}>deflate</${Badge}>`}${row.snappy && html`<${Badge}>snappy</${Badge}>`}
    ${row.authed && html`<${Badge} title=${`Authorized: ${who}`}>${safe ? html`<a href=${safe} rel="noreferrer noopener" target="_blank">${who}</a>` : `auth: ${who}`}</${Badge}>`}
    ${place(row) && html`<${Badge} kind=${near} title=${near ? `In the ${near} of its node` : 'Away from its node'}>${place(row)}</${Badge}>`}`
}

/** @param {RatedClient[]} clients */
const hasAttributes = (clients) => clients.some((row) => row.sample_rate || row.tls || row.deflate || row.snappy || row.authed || place(row))

/**
 * @param {boolean} attributed
 * @returns {import('./table.js').Column<RatedClient>[]}
 */
const clientColumns = (attributed) => [
  {
    key: 'client', title: 'Consumer', text: true, value: clientName,
    cell: (row) => html`<span class="name" title=${row.remote_address}>${clientName(row)}</span><span class="muted host">${row.remote_address}</span>`,
  },
  { key: 'agent', title: 'Library', width: 150, drop: 5, text: true, value: (row) => row.user_agent, cell: (row) => html`<span class="name">${row.user_agent || '–'}</span>` },
  { key: 'attributes', title: 'Attributes', width: 220, drop: 4, text: true, hidden: !attributed, cell: attributes },
  { key: 'node', title: 'Node', width: 160, text: true, drop: 2, value: (row) => row.node, cell: (row) => html`<a class="name" href=${link('nodes', row.node)}>${row.node}</a>` },
  {
    key: 'flight', title: 'In flight', width: 92, value: (row) => row.in_flight_count,
    cell: (row) => html`<b class=${row.ready_count > 0 && row.in_flight_count >= row.ready_count ? 'alarm' : row.in_flight_count ? '' : 'zero'}>${format.count(row.in_flight_count)}</b>`,
  },
  { key: 'ready', title: 'RDY', width: 76, value: (row) => row.ready_count, cell: (row) => (row.ready_count ? format.count(row.ready_count) : html`<b class="alarm">0</b>`) },
  { key: 'pace', title: 'Finishes', width: 92, drop: 1, value: (row) => row.finish_rate, cell: (row) => number(row.finish_rate, format.rate), hint: 'Per second, over the last states' },
  { key: 'finished', title: 'Finished', width: 100, drop: 6, value: (row) => row.finish_count, cell: (row) => number(row.finish_count) },
  { key: 'requeued', title: 'Requeued', width: 90, drop: 5, value: (row) => row.requeue_count, cell: (row) => number(row.requeue_count) },
  { key: 'messages', title: 'Messages', width: 100, drop: 2, value: (row) => row.message_count, cell: (row) => number(row.message_count) },
  { key: 'connected', title: 'Connected', width: 112, drop: 3, value: (row) => row.connected, cell: (row) => format.duration(Math.floor(row.connected / 1e9) * 1000) },
]

/** @param {{ names: string[] }} props */
export function ChannelPage({ names: [topic, name] }) {
  const { data, trouble } = useLive(/** @type {Record<string, string>} */ ({ view: 'channel', topic, channel: name }), fold)
  const channel = data?.channel
  const [peeking, setPeeking] = useState(false)
  const missing = trouble?.status === 404 || (channel && !channel.nodes?.length)
  return html`<${Head} path=${[['Topics', link()], [topic, link('topics', topic)]]} title=${name}
      badges=${channel?.paused && html`<${Paused} />`}>
      ${channel && !missing &&
      html`${config.is_admin && html`<button type="button" class="button" data-action="peek" onClick=${() => setPeeking(true)}>${icon('eye')}Peek</button>`}
        <${Action} name="pause" glyph=${channel.paused ? 'play' : 'pause'} label=${channel.paused ? 'Unpause' : 'Pause'} run=${() => pauseChannel(channel)} />
        <${Action} name="empty" glyph="drain" label="Empty" danger run=${() => emptyChannel(channel)} />
        <${Action} name="delete" glyph="trash" label="Delete channel" danger run=${() => deleteChannel(channel)} />`}
    </${Head}>
    ${trouble && trouble.status !== 404 && html`<${Trouble} trouble=${trouble} />`}
    ${!data && !trouble && html`<${Loading} />`}
    ${missing && html`<div class="banner">${icon('warning')}<div><p><b>No node has the channel ${name} of ${topic}.</b> Nobody has subscribed to it yet, or it was deleted.</p>
      <p>What there is of the topic is on <a href=${link('topics', topic)}>its page</a>.</p></div></div>`}
    ${channel && !missing && html`<${Body} channel=${channel} />`}
    ${peeking && html`<${PeekDrawer} topic=${topic} channel=${name} close=${() => setPeeking(false)} />`}`
}

/** @param {{ channel: ChannelStats }} props */
function Body({ channel }) {
  const clients = /** @type {RatedClient[]} */ (channel.clients ?? [])
  const nodes = channel.nodes ?? []
  const quantiles = JSON.stringify(channel.e2e_processing_latency?.percentiles?.map(({ quantile }) => quantile) ?? [])
  const ofNodes = useMemo(() => nodeColumns(channel), [quantiles, isLocated(channel)])
  const attributed = hasAttributes(clients)
  const ofClients = useMemo(() => clientColumns(attributed), [attributed])
  const located = clients.some((row) => nearness(row))
  return html`<${Tiles} items=${[
      ['Waiting', format.count(channel.depth), 'depth'],
      ['In flight', format.count(channel.in_flight_count)],
      ['Deferred', format.count(channel.deferred_count)],
      ['Requeued', format.count(channel.requeue_count)],
      ['Timed out', format.count(channel.timeout_count)],
      ['In', format.rate(channel.rate), 'rate'],
      ['Out', format.rate(channel.out)],
      ['Consumers', format.count(channel.client_count)],
    ]} />
    <div class="pair">
      <${BacklogCard} backlog=${ofChannel(channel, config.live_interval_ms)} topic=${channel.topic_name} />
      <section class="card" aria-label="The last minutes"><${Charts} history=${channel.history} depth=${channel.depth} rate=${channel.rate} /></section>
    </div>
    <${Card} title="Consumers">
      <${Table} name="clients" label="Consumers" noun="consumer" rows=${clients} columns=${ofClients} sort="client+"
        rowKey=${(/** @type {RatedClient} */ row) => `${row.node} ${row.remote_address}`} rowClass=${located ? (/** @type {RatedClient} */ row) => nearness(row) || 'away' : undefined}
        text=${clients.length > 8 ? (/** @type {RatedClient} */ row) => `${clientName(row)} ${row.remote_address} ${row.node} ${row.user_agent}` : undefined}
        none="Nobody is connected to this channel." />
    </${Card}>
    <${Card} title="Nodes">
      <${Table} name="channel-nodes" label="Nodes" noun="node" rows=${nodes} columns=${ofNodes} rowKey=${(/** @type {ChannelStats} */ row) => row.node}
        sort="node+" total=${nodes.length > 1 ? channel : undefined} />
    </${Card}>`
}
