// Where a backlog is and why, in a sentence: which channel, which node, which consumer. Functions of the last state, nothing else.

import * as format from './format.js'

/** @typedef {import('./types.js').TopicStats} TopicStats */
/** @typedef {import('./types.js').ChannelStats} ChannelStats */
/** @typedef {import('./types.js').Client} Client */
/** @typedef {Client & { finish_rate?: number | null }} RatedClient */

/** @typedef {{ name: string, depth: number, note: string, bad: boolean, node?: string, channel?: string }} Part */
/** @typedef {{ total: number, sentence: string, trend: string, bad: boolean, channels: Part[], nodes: Part[], clients: Part[], of: string }} Backlog */

/** From this share on, the largest part is the answer and the rest need not be told. */
const MOST = 0.6

/**
 * Why a channel's messages wait, as the end of a sentence; empty if it is not known.
 * @param {ChannelStats} stats of one node, or of all
 * @param {RatedClient[] | null} clients those of the same place, if they are known
 */
export function cause(stats, clients) {
  if (stats.paused) return 'it is paused'
  if (stats.client_count === 0) return 'it has no consumer'
  const many = stats.client_count > 1
  const its = many ? `its ${format.count(stats.client_count)} consumers` : 'its consumer'
  if (clients?.length) {
    const asking = clients.filter(({ ready_count }) => ready_count > 0)
    if (asking.length === 0) return `${its} ${many ? 'ask' : 'asks'} for nothing (RDY 0)`
    const stuck = stuckAmong(clients)
    if (stuck) return stuck
    const full = asking.filter(isFull)
    if (full.length === asking.length) {
      const [held, ready] = [total(full, 'in_flight_count'), total(full, 'ready_count')]
      return `${its} ${many ? 'have' : 'has'} all that ${many ? 'they' : 'it'} asked for (${format.count(held)} in flight, RDY ${format.count(ready)})`
    }
  }
  const { rate, out } = stats
  if (rate != null && out != null && rate > 0.5 && rate > out * 1.05) return `${format.rate(rate)} come in and ${format.rate(out)} go out`
  return ''
}

/** @param {Client} client */
const isFull = ({ in_flight_count, ready_count }) => ready_count > 0 && in_flight_count >= ready_count

/**
 * @param {Client[]} clients
 * @param {'in_flight_count' | 'ready_count'} key
 */
const total = (clients, key) => clients.reduce((sum, client) => sum + client[key], 0)

/**
 * What a consumer is called: its host, and its id if that says more.
 * @param {Client} client
 */
export function clientName({ client_id, hostname, remote_address }) {
  if (!hostname || !client_id) return client_id || hostname || remote_address
  return hostname === client_id || hostname.startsWith(`${client_id}.`) ? hostname : `${client_id} (${hostname})`
}

/**
 * One consumer that has its hands full and finishes nothing, or next to nothing, while others do.
 * @param {RatedClient[]} clients
 */
function stuckAmong(clients) {
  if (clients.length < 2) return ''
  const rated = clients.filter(({ finish_rate }) => finish_rate != null)
  const best = Math.max(0, ...rated.map(({ finish_rate }) => finish_rate ?? 0))
  const slow = rated.filter((client) => isFull(client) && (client.finish_rate ?? 0) < best / 10)
  if (best === 0 || slow.length !== 1) return ''
  const [one] = slow
  const pace = one.finish_rate ? `finishes ${format.rate(one.finish_rate)}` : 'finishes nothing'
  return `one of its ${clients.length} consumers, ${clientName(one)}, ${pace} and holds ${format.many(one.in_flight_count, 'message')}`
}

/**
 * How a depth moves, from its last samples: "It grows by 120/s."
 * @param {(number | null)[] | undefined} samples
 * @param {number} interval ms
 */
export function trend(samples, interval) {
  const recent = (samples ?? []).slice(-15)
  const known = recent.filter((value) => value != null)
  if (known.length < 4) return ''
  const [first, last] = [Number(recent.find((value) => value != null)), Number(known[known.length - 1])]
  const from = recent.findIndex((value) => value != null)
  const seconds = ((recent.length - 1 - from) * interval) / 1000
  const speed = (last - first) / seconds
  // What goes up and down has no trend worth telling.
  if (Math.abs(speed) < 0.2 || Math.abs(last - first) < 0.02 * last) return ''
  if (speed > 0) return `It grows by ${format.rate(speed)}.`
  return last === 0 ? '' : `It shrinks by ${format.rate(-speed)}: nothing left in about ${format.duration((last / -speed) * 1000)} at this pace.`
}

/**
 * "94 % of 12,300 waiting messages are", or "All 12 waiting messages are".
 * @param {number} part
 * @param {number} whole
 */
function share(part, whole) {
  if (whole === 1) return 'The one waiting message is'
  if (part === whole) return `All ${format.count(whole)} waiting messages are`
  return `${format.percent(part, whole)} of ${format.count(whole)} waiting messages are`
}

/** @param {Part[]} parts */
const largest = (parts) => [...parts].sort((a, b) => b.depth - a.depth)

/** @param {string} reason */
const because = (reason) => (reason ? `; ${reason}.` : '.')

/**
 * Of a topic: its own queue, and its channels' on each node.
 * @param {TopicStats} topic
 * @param {number} interval
 * @returns {Backlog}
 */
export function ofTopic(topic, interval) {
  const places = topic.nodes?.length ? topic.nodes : [topic]
  const channels = topic.channels ?? []
  /** @type {Part[]} */
  const byChannel = channels.map((channel) => {
    const note = channel.depth > 0 ? cause(channel, channel.clients) : ''
    return { name: channel.channel_name, channel: channel.channel_name, depth: channel.depth, note, bad: channel.paused || channel.client_count === 0 }
  })
  if (topic.depth > 0) byChannel.push({ name: 'not in a channel yet', depth: topic.depth, note: queueCause(topic), bad: true })
  const byNode = places.map((place) => {
    const depth = place.depth + (place.channels ?? []).reduce((sum, channel) => sum + channel.depth, 0)
    return { name: place.node, node: place.node, depth, note: '', bad: false }
  })
  const total = byChannel.reduce((sum, { depth }) => sum + depth, 0)
  /** @type {(Part & { reason: string })[]} */
  const pairs = places.flatMap((place) =>
    (place.channels ?? []).map((channel) => ({
      name: channel.channel_name, channel: channel.channel_name, node: place.node, depth: channel.depth, note: '', bad: false, reason: cause(channel, channel.clients),
    })),
  )
  const read = channels.find(({ clients }) => clients?.length)
  const clients = largest((read?.clients ?? []).map(partOfClient(true)))
  const backlog = { total, sentence: '', trend: '', bad: false, channels: largest(byChannel), nodes: largest(byNode), clients, of: read?.channel_name ?? '' }
  if (total === 0) return { ...backlog, sentence: idle(channels) }
  const [top] = backlog.channels
  const [pair] = largest(pairs)
  if (top.depth < MOST * total && backlog.channels.length > 1) {
    const sentence = `${format.count(total)} messages wait in ${format.many(backlog.channels.filter(({ depth }) => depth > 0).length, 'place')}; most of them, ${format.percent(top.depth, total)}, ${inPlace(top)}${because(top.note)}`
    return { ...backlog, sentence, trend: movement(topic, interval), bad: top.bad }
  }
  const together = pair && pair.channel === top.channel && pair.depth >= MOST * total && places.length > 1
  const sentence = together
    ? `${share(pair.depth, total)} in channel ${pair.name} on ${pair.node}${because(/** @type {any} */ (pair).reason)}`
    : `${share(top.depth, total)} ${inPlace(top)}${places.length > 1 ? `, spread over ${format.count(places.length)} nodes` : places.length === 1 ? ` on ${places[0].node}` : ''}${because(top.note)}`
  return { ...backlog, sentence, trend: movement(topic, interval), bad: top.bad }
}

/** @param {Part} part */
const inPlace = (part) => (part.channel ? `in channel ${part.name}` : `in the topic's own queue`)

/** @param {TopicStats} topic */
function queueCause(topic) {
  if (topic.paused) return 'the topic is paused'
  return topic.channels?.length ? '' : 'it has no channel'
}

/**
 * @param {TopicStats} topic
 * @param {number} interval
 */
const movement = (topic, interval) => trend(topic.history?.depth, topic.history?.interval_ms ?? interval)

/** @param {ChannelStats[]} channels */
function idle(channels) {
  const held = channels.reduce((sum, channel) => sum + channel.in_flight_count, 0)
  const deferred = channels.reduce((sum, channel) => sum + channel.deferred_count, 0)
  const rest = [held > 0 ? `${format.count(held)} in flight` : '', deferred > 0 ? `${format.count(deferred)} deferred` : ''].filter(Boolean)
  return `No message waits${rest.length ? `; ${format.listing(rest)}` : ''}.`
}

/**
 * Of a channel: its queue on each node, and what its consumers hold.
 * @param {ChannelStats} channel
 * @param {number} interval
 * @returns {Backlog}
 */
export function ofChannel(channel, interval) {
  const places = channel.nodes?.length ? channel.nodes : [channel]
  const clients = /** @type {RatedClient[]} */ (channel.clients ?? [])
  const nodes = largest(
    places.map((place) => {
      const note = place.depth > 0 ? cause(place, clients.filter(({ node }) => node === place.node)) : ''
      return { name: place.node, node: place.node, depth: place.depth, note, bad: place.paused || place.client_count === 0 }
    }),
  )
  const total = channel.depth
  const backlog = { total, sentence: '', trend: '', bad: false, channels: [], nodes, clients: largest(clients.map(partOfClient(total > 0))), of: '' }
  if (total === 0) return { ...backlog, sentence: idle([channel]) }
  const moves = trend(channel.history?.depth, channel.history?.interval_ms ?? interval)
  const [top] = nodes
  const whole = cause(channel, clients)
  const bad = top.bad || channel.paused || channel.client_count === 0
  if (nodes.length > 1 && top.depth < MOST * total) {
    const sentence = `${format.count(total)} messages wait, spread over ${format.count(nodes.length)} nodes; the most, ${format.percent(top.depth, total)}, on ${top.name}${because(whole || top.note)}`
    return { ...backlog, sentence, trend: moves, bad }
  }
  return { ...backlog, sentence: `${share(top.depth, total)} on ${top.name}${because(top.note || whole)}`, trend: moves, bad }
}

/**
 * @param {boolean} waiting whether anything waits: to be at its limit is no fault of a consumer otherwise
 * @returns {(client: RatedClient) => Part}
 */
const partOfClient = (waiting) => (client) => {
  const ready = format.count(client.ready_count)
  const limit = client.ready_count === 0 ? 'RDY 0' : isFull(client) ? `at its limit, RDY ${ready}` : `RDY ${ready}`
  const pace = client.finish_rate == null ? '' : `, finishes ${format.rate(client.finish_rate)}`
  return { name: clientName(client), node: client.node, depth: client.in_flight_count, note: limit + pace, bad: waiting && (isFull(client) || client.ready_count === 0) }
}

/** How many of the last states a consumer's pace is taken over. */
const PACE = 8

/**
 * Finished messages per second of each consumer, from this state and those before it.
 * @param {{ at: number, finished: Map<string, number> }[]} before
 * @param {number} at
 * @param {Client[]} clients
 */
export function pace(before, at, clients) {
  const keyOf = (/** @type {Client} */ client) => `${client.node} ${client.remote_address}`
  const finished = new Map(clients.map((client) => [keyOf(client), client.finish_count]))
  const states = [...before, { at, finished }].slice(-PACE)
  const rated = clients.map((client) => {
    const first = states.find((state) => state.finished.has(keyOf(client)))
    const seconds = first ? (at - first.at) / 1000 : 0
    const finish_rate = seconds >= 1 && first ? Math.max(0, (client.finish_count - (first.finished.get(keyOf(client)) ?? 0)) / seconds) : null
    return { ...client, finish_rate }
  })
  return { states, rated }
}
