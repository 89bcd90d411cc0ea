// Page: one topic, on all nodes that have it.

import { config, link } from './config.js'
import { html, useMemo, useState } from './preact.js'
import { deleteTopic, emptyTopic, pauseTopic, tombstone } from './actions.js'
import { ofTopic } from './backlog.js'
import { busiest, useConsumers, withConsumers } from './consumers.js'
import { graphColumns, Rate } from './graphite.js'
import { icon } from './icons.js'
import { useLive } from './live.js'
import { Trouble } from './notices.js'
import { Action, BacklogCard, Card, Charts, Head, latencyColumns, Loading, number, Paused, split, Tiles } from './panels.js'
import { PeekDrawer } from './peek.js'
import { Sparkline } from './sparkline.js'
import { Table } from './table.js'
import * as format from './format.js'

/** @typedef {import('./types.js').TopicStats} TopicStats */
/** @typedef {import('./types.js').ChannelStats} ChannelStats */
/** @typedef {import('./types.js').TopicEvent} TopicEvent */

/**
 * @param {import('./types.js').Latency | null | undefined} latency
 * @returns {import('./table.js').Column<ChannelStats>[]}
 */
const channelColumns = (latency) => [
  {
    key: 'name', title: 'Channel', text: true, value: (row) => row.channel_name,
    cell: (row) => html`<a class="name" href=${link('topics', row.topic_name, row.channel_name)}>${row.channel_name}</a>
      ${row.paused && html`<${Paused} />`}`,
  },
  {
    key: 'depth', title: 'Waiting', width: 170, value: (row) => row.depth,
    cell: (row) => html`<span class="with-spark"><${Sparkline} samples=${row.history?.depth} kind="depth" /><b class=${row.depth ? '' : 'zero'}>${format.count(row.depth)}</b></span>`,
  },
  { key: 'split', title: 'Memory + disk', width: 130, drop: 6, value: (row) => row.backend_depth, cell: split },
  { key: 'flight', title: 'In flight', width: 86, value: (row) => row.in_flight_count, cell: (row) => number(row.in_flight_count) },
  { key: 'deferred', title: 'Deferred', width: 86, drop: 4, value: (row) => row.deferred_count, cell: (row) => number(row.deferred_count) },
  { key: 'requeued', title: 'Requeued', width: 90, drop: 5, value: (row) => row.requeue_count, cell: (row) => number(row.requeue_count) },
  { key: 'timedout', title: 'Timed out', width: 90, drop: 5, value: (row) => row.timeout_count, cell: (row) => number(row.timeout_count) },
  { key: 'messages', title: 'Messages', width: 112, drop: 2, value: (row) => row.message_count, cell: (row) => number(row.message_count) },
  {
    key: 'out', title: 'Out', width: 84, drop: 2, value: (row) => row.out, cell: (row) => number(row.out, format.rate), hint: 'Messages delivered per second',
  },
  {
    key: 'clients', title: 'Consumers', width: 94, value: (row) => row.client_count,
    cell: (row) => (row.client_count ? format.count(row.client_count) : html`<b class=${row.depth ? 'alarm' : 'zero'}>0</b>`),
  },
  ...graphColumns('channel', (row) => [row.topic_name, row.channel_name]),
  ...latencyColumns(latency),
]

/**
 * @param {import('./types.js').Latency | null | undefined} latency
 * @returns {import('./table.js').Column<TopicStats>[]}
 */
const nodeColumns = (latency) => [
  {
    key: 'node', title: 'Node', text: true, value: (row) => row.node,
    cell: (row) => (row.node === '*' ? html`<b>All nodes</b>` : html`<${NodeName} row=${row} />${row.paused && html`<${Paused} />`}`),
  },
  { key: 'depth', title: 'Not in a channel yet', width: 160, value: (row) => row.depth, cell: (row) => number(row.depth), hint: "The depth of the topic's own queue" },
  { key: 'split', title: 'Memory + disk', width: 130, drop: 6, value: (row) => row.backend_depth, cell: split },
  { key: 'messages', title: 'Messages', width: 112, value: (row) => row.message_count, cell: (row) => number(row.message_count) },
  { key: 'rate', title: 'In', width: 84, drop: 3, value: (row) => row.rate, cell: (row) => number(row.rate, format.rate) },
  { key: 'channels', title: 'Channels', width: 90, drop: 3, value: (row) => row.channels?.length ?? 0, cell: (row) => format.count(row.channels?.length ?? 0) },
  ...latencyColumns(latency),
  {
    key: 'graph-rate', title: 'Rate (graphite)', width: 110, drop: 4, hidden: !config.graph_enabled,
    cell: (row) => html`<${Rate} kind="topic" node=${row.node} topic=${row.topic_name} />`,
  },
  {
    key: 'tombstone', title: '', width: 52, drop: 1, hidden: !config.is_admin || config.lookupd.length === 0,
    cell: (row) =>
      row.node !== '*' &&
      html`<button type="button" class="button quiet square small" data-action="tombstone" aria-label=${`Take ${row.topic_name} off ${row.node}`}
        title="Take this topic off the node (tombstone)" onClick=${() => tombstone(row.node, row)}>${icon('tomb')}</button>`,
  },
]

/**
 * @param {{ row: { node: string, hostname: string } }} props
 */
export const NodeName = ({ row }) => html`<a class="name" href=${link('nodes', row.node)}>${row.node}</a>
  ${row.hostname && !row.node.startsWith(row.hostname) && html`<span class="muted host">${row.hostname}</span>`}`

/** @param {{ names: string[] }} props */
export function TopicPage({ names: [name] }) {
  const { data, trouble } = useLive(/** @type {Record<string, string>} */ ({ view: 'topic', topic: name }))
  const topic = /** @type {TopicEvent | null} */ (data)?.topic
  const [peeking, setPeeking] = useState(false)
  const quantiles = JSON.stringify(topic?.e2e_processing_latency?.percentiles?.map(({ quantile }) => quantile) ?? [])
  const ofChannels = useMemo(() => channelColumns(topic?.e2e_processing_latency), [quantiles])
  const ofNodes = useMemo(() => nodeColumns(topic?.e2e_processing_latency), [quantiles])
  const missing = trouble?.status === 404 || (topic && !topic.nodes?.length)
  const badges = topic?.paused && html`<${Paused} />`
  return html`<${Head} path=${[['Topics', link()]]} title=${name} badges=${badges}>
      ${topic && !missing &&
      html`${config.is_admin && html`<button type="button" class="button" data-action="peek" onClick=${() => setPeeking(true)}>${icon('eye')}Peek</button>`}
        <${Action} name="pause" glyph=${topic.paused ? 'play' : 'pause'} label=${topic.paused ? 'Unpause' : 'Pause'} run=${() => pauseTopic(topic)} />
        <${Action} name="empty" glyph="drain" label="Empty queue" danger run=${() => emptyTopic(topic)} />
        <${Action} name="delete" glyph="trash" label="Delete topic" danger run=${() => deleteTopic(topic)} />`}
    </${Head}>
    ${trouble && trouble.status !== 404 && html`<${Trouble} trouble=${trouble} />`}
    ${!data && !trouble && html`<${Loading} />`}
    ${missing && html`<${NoProducers} name=${name} />`}
    ${topic && !missing && html`<${Body} topic=${topic} ofChannels=${ofChannels} ofNodes=${ofNodes} />`}
    ${peeking && html`<${PeekDrawer} topic=${name} close=${() => setPeeking(false)} />`}`
}

/** @param {{ name: string }} props */
const NoProducers = ({ name }) => html`<div class="banner">${icon('warning')}<div>
  <p><b>No node has the topic ${name}.</b> Nobody has published to it yet, or it was deleted.</p>
  <p>What nsqlookupd still knows of it is on the page <a href=${link('lookup')}>Lookup</a>.</p>
</div></div>`

/** @param {{ topic: TopicStats, ofChannels: any, ofNodes: any }} props */
function Body({ topic, ofChannels, ofNodes }) {
  const channels = topic.channels ?? []
  const nodes = topic.nodes ?? []
  const busy = busiest(topic)
  const clients = useConsumers(topic.topic_name, busy)
  const backlog = ofTopic(withConsumers(topic, busy, clients), config.live_interval_ms)
  const total = (/** @type {(channel: ChannelStats) => number} */ of) => channels.reduce((sum, channel) => sum + of(channel), 0)
  return html`<${Tiles} items=${[
      ['Waiting', format.count(backlog.total), 'depth'],
      ['In flight', format.count(total((channel) => channel.in_flight_count))],
      ['Deferred', format.count(total((channel) => channel.deferred_count))],
      ['Messages', format.count(topic.message_count)],
      ['In', format.rate(topic.rate), 'rate'],
      ['Out', format.rate(topic.out)],
      ['Consumers', format.count(total((channel) => channel.client_count))],
    ]} />
    <div class="pair">
      <${BacklogCard} backlog=${backlog} topic=${topic.topic_name} />
      <section class="card" aria-label="The last minutes"><${Charts} history=${topic.history} depth=${backlog.total} rate=${topic.rate} /></section>
    </div>
    <${Card} title="Channels">
      <${Table} name="channels" label="Channels" noun="channel" rows=${channels} columns=${ofChannels} rowKey=${(/** @type {ChannelStats} */ row) => row.channel_name}
        text=${channels.length > 8 ? (/** @type {ChannelStats} */ row) => row.channel_name : undefined} sort="name+"
        none="No channel: messages wait in the topic until the first one is made." />
    </${Card}>
    <${Card} title="Nodes">
      <${Table} name="topic-nodes" label="Nodes" noun="node" rows=${nodes} columns=${ofNodes} rowKey=${(/** @type {TopicStats} */ row) => row.node}
        sort="node+" total=${nodes.length > 1 ? topic : undefined} />
    </${Card}>`
}
