// Page: one nsqd, with its topics, their channels and their consumers as one list that opens and closes.

import { config, link } from './config.js'
import { html, useMemo, useState } from './preact.js'
import { tombstone } from './actions.js'
import { clientName } from './backlog.js'
import { icon } from './icons.js'
import { useLive } from './live.js'
import { Trouble } from './notices.js'
import { Badge, Head, Loading, number, Paused, split, Tiles } from './panels.js'
import { Table } from './table.js'
import * as format from './format.js'

/** @typedef {import('./types.js').TopicStats} TopicStats */
/** @typedef {import('./types.js').ChannelStats} ChannelStats */
/** @typedef {import('./types.js').Client} Client */
/** @typedef {import('./types.js').NodeEvent} NodeEvent */

/**
 * A line of the list: a topic, a channel of it, or a consumer of that.
 * @typedef {object} Line
 * @property {string} key
 * @property {0 | 1 | 2} level
 * @property {TopicStats} topic
 * @property {ChannelStats} [channel]
 * @property {Client} [client]
 * @property {boolean} open
 * @property {number} inside how many lines it has below it
 */

/** With more lines than this, topics are closed at first. */
const OPEN = 60

/**
 * @param {TopicStats[]} topics
 * @param {Set<string>} flipped those that are not as they are at first
 * @param {string} sought
 * @returns {Line[]}
 */
function linesOf(topics, flipped, sought) {
  const channels = topics.reduce((sum, topic) => sum + (topic.channels?.length ?? 0), 0)
  const atFirst = topics.length + channels <= OPEN
  /** @type {Line[]} */
  const lines = []
  for (const topic of topics) {
    if (!topic.topic_name.toLowerCase().includes(sought.toLowerCase())) continue
    const key = topic.topic_name
    const inside = topic.channels ?? []
    const open = inside.length > 0 && atFirst !== flipped.has(key)
    lines.push({ key, level: 0, topic, open, inside: inside.length })
    if (open) for (const channel of inside) lines.push(...channelLines(topic, channel, flipped))
  }
  return lines
}

/**
 * @param {TopicStats} topic
 * @param {ChannelStats} channel
 * @param {Set<string>} flipped
 * @returns {Line[]}
 */
function channelLines(topic, channel, flipped) {
  const key = `${topic.topic_name} ${channel.channel_name}`
  const clients = channel.clients ?? []
  const open = clients.length > 0 && flipped.has(key)
  /** @type {Line} */
  const line = { key, level: 1, topic, channel, open, inside: clients.length }
  if (!open) return [line]
  return [line, ...clients.map((client) => /** @type {Line} */ ({ key: `${key} ${client.remote_address}`, level: 2, topic, channel, client, open: false, inside: 0 }))]
}

/**
 * @param {(key: string) => void} flip
 * @param {string} node
 * @returns {import('./table.js').Column<Line>[]}
 */
const columns = (flip, node) => {
  const of = (/** @type {Line} */ line) => /** @type {any} */ (line.client ?? line.channel ?? line.topic)
  const counted = (/** @type {string} */ key, /** @type {string} */ title, /** @type {number} */ width, /** @type {number | undefined} */ drop) => ({
    key, title, width, drop, cell: (/** @type {Line} */ line) => (of(line)[key] === undefined ? '' : number(of(line)[key])),
  })
  return [
    { key: 'name', title: 'Topic, channel, consumer', text: true, cell: (line) => html`<${Name} line=${line} flip=${flip} />` },
    { ...counted('depth', 'Waiting', 96, undefined), cell: (line) => (line.client ? '' : html`<b class=${of(line).depth ? '' : 'zero'}>${format.count(of(line).depth)}</b>`) },
    {
      key: 'split', title: 'Memory + disk', width: 130, drop: 6,
      cell: (line) => (line.client ? '' : split(of(line))),
    },
    counted('in_flight_count', 'In flight', 86, 2),
    counted('ready_count', 'RDY', 76, 3),
    counted('deferred_count', 'Deferred', 86, 5),
    counted('requeue_count', 'Requeued', 90, 7),
    counted('timeout_count', 'Timed out', 90, 7),
    counted('message_count', 'Messages', 112, 1),
    { key: 'rate', title: 'In', width: 84, drop: 3, cell: (line) => (line.client || of(line).rate === undefined ? '' : number(of(line).rate, format.rate)) },
    {
      key: 'clients', title: 'Consumers', width: 94,
      drop: 4, cell: (line) => (line.channel && !line.client ? number(line.channel.client_count) : ''),
    },
    {
      key: 'tombstone', title: '', width: 52, drop: 1, hidden: !config.is_admin || config.lookupd.length === 0,
      cell: (line) =>
        line.level === 0 &&
        html`<button type="button" class="button quiet square small" data-action="tombstone" aria-label=${`Take ${line.topic.topic_name} off this node`}
          title="Take this topic off the node (tombstone)" onClick=${() => tombstone(node, line.topic)}>${icon('tomb')}</button>`,
    },
  ]
}

/** @param {{ line: Line, flip: (key: string) => void }} props */
function Name({ line, flip }) {
  const { topic, channel, client, level, open, inside, key } = line
  const name = client ? clientName(client) : channel ? channel.channel_name : topic.topic_name
  const href = channel ? link('topics', topic.topic_name, channel.channel_name) : link('topics', topic.topic_name)
  return html`<span class="tree level-${level}">
    ${inside > 0
      ? html`<button type="button" class="twist ${open ? 'open' : ''}" aria-expanded=${open} aria-label=${`${open ? 'Close' : 'Open'} ${name}`} onClick=${() => flip(key)}>${icon('right', 14)}</button>`
      : html`<i class="twist"></i>`}
    ${client ? html`<span class="name">${name}</span><span class="muted host">${client.remote_address}</span>` : html`<a class="name" href=${href}>${name}</a>`}
    ${!client && (channel ?? topic).paused && html`<${Paused} />`}${!client && html``}
    ${channel && !client && channel.client_count === 0 && channel.depth > 0 && html`<${Badge} kind="bad">no consumer</${Badge}>`}
  </span>`
}

/** @param {{ names: string[] }} props */
export function NodePage({ names: [node] }) {
  const { data, trouble } = useLive(/** @type {Record<string, string>} */ ({ view: 'node', node }))
  const event = /** @type {NodeEvent | null} */ (data)
  const [flipped, setFlipped] = useState(/** @type {Set<string>} */ (new Set()))
  const [sought, setSought] = useState('')
  const list = useMemo(
    () =>
      columns((key) => {
        setFlipped((before) => {
          const after = new Set(before)
          if (!after.delete(key)) after.add(key)
          return after
        })
      }, node),
    [node],
  )
  const topics = event?.topics ?? []
  const lines = useMemo(() => linesOf(topics, flipped, sought), [event, flipped, sought])
  const channels = topics.flatMap((topic) => topic.channels ?? [])
  const waiting = [...topics, ...channels].reduce((sum, { depth }) => sum + depth, 0)
  const filter = html`<label class="filter">${icon('search')}<span class="hidden">Filter topics</span>
      <input type="search" data-filter placeholder="Filter" autocomplete="off" spellcheck="false" value=${sought}
        onInput=${(/** @type {any} */ change) => setSought(change.target.value)} /><kbd>/</kbd></label>
    <span class="muted tally">${format.many(topics.length, 'topic')}</span>`
  return html`<${Head} path=${[['Nodes', link('nodes')]]} title=${node} />
    ${trouble?.status === 404
      ? html`<div class="banner">${icon('warning')}<div><p><b>No nsqd is known as ${node}.</b> It may have been stopped, or has another address now.</p>
          <p>Those that are known are on the page <a href=${link('nodes')}>Nodes</a>.</p></div></div>`
      : trouble && html`<${Trouble} trouble=${trouble} />`}
    ${!data && !trouble && html`<${Loading} />`}
    ${event &&
    trouble?.status !== 404 &&
    html`<${Tiles} items=${[
        ['Topics', format.count(topics.length)],
        ['Waiting', format.count(waiting), 'depth'],
        ['In flight', format.count(channels.reduce((sum, channel) => sum + channel.in_flight_count, 0))],
        ['Messages', format.count(event.total_messages)],
        ['In', format.rate(event.rate), 'rate'],
        ['Consumers', format.count(event.total_clients)],
      ]} />
      <section class="card bare" aria-label="Topics of this node">
        <${Table} name="node" label="Topics of this node" noun="topic" rows=${lines} columns=${list} rowKey=${(/** @type {Line} */ line) => line.key} inOrder
          rowClass=${(/** @type {Line} */ line) => `level-${line.level}`} tools=${filter}
          none=${sought ? `No topic matches “${sought}”.` : 'There is no topic on this node.'} />
      </section>`}`
}
