// What an administrator can do, each with the question before it.

import { config, link } from './config.js'
import { html } from './preact.js'
import { ask } from './dialogs.js'
import { failures, saidOf, say } from './notices.js'
import { warning } from './live.js'
import { go } from './router.js'
import { channelLosses, queueLosses, topicLosses } from './losses.js'
import * as api from './api.js'
import * as format from './format.js'

/** @typedef {import('./types.js').TopicStats} TopicStats */
/** @typedef {import('./types.js').ChannelStats} ChannelStats */
/** @typedef {import('./losses.js').Losses} Losses */

/** @type {Set<() => void>} */
const listeners = new Set()

/**
 * Calls a function after each action, until the function that is returned is called.
 * @param {() => void} listener
 */
export function onAction(listener) {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

/**
 * Says that it is done, and who did not hear of it.
 * @param {string} text
 * @param {{ message?: string } | null} answer
 */
function done(text, answer) {
  const message = answer?.message ?? ''
  if (message) say(`${text}, but not everywhere.`, { detail: saidOf(message), bad: true })
  else say(`${text}.`)
  for (const listener of listeners) listener()
}

/** @param {{ losses: Losses }} props */
function Costs({ losses }) {
  const { nodes, inFlight, deferred } = losses
  const rows = nodes.filter(({ waiting, inFlight, deferred, consumers }) => waiting + inFlight + deferred + consumers > 0)
  if (rows.length === 0) return null
  return html`<table class="costs">
    <thead><tr><th scope="col" class="text">Node</th><th scope="col">Waiting</th>
      ${inFlight > 0 && html`<th scope="col">In flight</th>`}${deferred > 0 && html`<th scope="col">Deferred</th>`}
      <th scope="col">Consumers</th></tr></thead>
    <tbody>${rows.map(
      (row) => html`<tr><td class="text">${row.node}</td><td>${format.count(row.waiting)}</td>
        ${inFlight > 0 && html`<td>${format.count(row.inFlight)}</td>`}${deferred > 0 && html`<td>${format.count(row.deferred)}</td>`}
        <td>${format.count(row.consumers)}</td></tr>`,
    )}</tbody>
  </table>`
}

/** What is not known to be lost, for its node does not answer. */
function Unknown() {
  const silent = failures(warning.get()).filter(({ lookupd }) => !lookupd)
  if (silent.length === 0) return null
  return html`<p class="caution">What is on ${format.listing(silent.map(({ who }) => who))} is not known: no answer from there.</p>`
}

/**
 * @param {Losses} losses
 * @param {boolean} disconnects
 */
function sentence(losses, disconnects) {
  const { messages, consumers, nodes } = losses
  const where = nodes.length === 1 ? `on ${nodes[0].node}` : `on ${nodes.length} nodes`
  const lost = messages > 0 ? html`<b>${format.many(messages, 'message')}</b> will be lost` : 'No message will be lost'
  const gone = html`<b>${format.many(consumers, 'consumer')}</b> will be disconnected`
  if (disconnects && consumers > 0) return html`<p>${lost}, and ${gone}, ${where}.</p>`
  return html`<p>${lost}${messages > 0 ? `, ${where}.` : '.'}</p>`
}

/**
 * @param {Losses} losses
 * @param {boolean} disconnects
 */
const costs = (losses, disconnects) => html`${sentence(losses, disconnects)}<${Costs} losses=${losses} /><${Unknown} />`

/**
 * A name has to be typed only where something is at stake.
 * @param {Losses} losses
 * @param {string} name
 */
const atStake = (losses, name) => (losses.messages > 0 || losses.consumers > 0 ? name : undefined)

/**
 * Makes a topic and, unless it is empty, a channel of it.
 * @param {string} topic
 * @param {string} channel
 */
export async function create(topic, channel) {
  const answer = await api.post(['topics'], { topic, channel })
  done(channel ? `Channel ${channel} of ${topic} is made` : `Topic ${topic} is made`, answer)
}

/** @param {TopicStats} topic */
export function deleteTopic(topic) {
  const name = topic.topic_name
  const losses = topicLosses(topic)
  const channels = (topic.channels ?? []).map(({ channel_name }) => channel_name)
  const its = channels.length === 1 ? `channel ${channels[0]}` : `${channels.length} channels (${format.listing(channels)})`
  ask({
    title: `Delete topic ${name}?`,
    body: html`${channels.length > 0 && html`<p>Its ${its} will be deleted with it.</p>`}${costs(losses, true)}`,
    action: 'Delete topic',
    danger: true,
    type: atStake(losses, name),
    run: async () => {
      done(`Topic ${name} is deleted`, await api.remove(['topics', name]))
      if (location.pathname.startsWith(link('topics', name))) go(link())
    },
  })
}

/** @param {TopicStats} topic */
export function emptyTopic(topic) {
  const name = topic.topic_name
  ask({
    title: `Empty the queue of topic ${name}?`,
    body: html`<p>This is what no channel has got yet; what waits in channels stays.</p>${costs(queueLosses(topic), false)}`,
    action: 'Empty queue',
    danger: true,
    run: async () => done(`The queue of ${name} is empty`, await api.post(['topics', name], { action: 'empty' })),
  })
}

/** @param {TopicStats} topic */
export function pauseTopic(topic) {
  const name = topic.topic_name
  const act = async (/** @type {string} */ action, /** @type {string} */ text) => done(text, await api.post(['topics', name], { action }))
  if (topic.paused) return attempt(() => act('unpause', `Topic ${name} goes on`))
  ask({
    title: `Pause topic ${name}?`,
    body: html`<p>Nothing is lost. Its ${format.many(topic.channels?.length ?? 0, 'channel')} will get no new messages until it goes on; what
      producers publish waits in the topic${topic.rate ? `, ${format.rate(topic.rate)} just now` : ''}.</p>`,
    action: 'Pause topic',
    run: () => act('pause', `Topic ${name} is paused`),
  })
}

/** @param {ChannelStats} channel */
export function deleteChannel(channel) {
  const { topic_name: topic, channel_name: name } = channel
  const losses = channelLosses(channel)
  ask({
    title: `Delete channel ${name} of ${topic}?`,
    body: costs(losses, true),
    action: 'Delete channel',
    danger: true,
    type: atStake(losses, name),
    run: async () => {
      done(`Channel ${name} of ${topic} is deleted`, await api.remove(['topics', topic, name]))
      if (location.pathname === link('topics', topic, name)) go(link('topics', topic))
    },
  })
}

/** @param {ChannelStats} channel */
export function emptyChannel(channel) {
  const { topic_name: topic, channel_name: name } = channel
  ask({
    title: `Empty channel ${name} of ${topic}?`,
    body: html`${costs(channelLosses(channel), false)}${channel.client_count > 0 && html`<p>Its ${format.many(channel.client_count, 'consumer')} stay connected.</p>`}`,
    action: 'Empty channel',
    danger: true,
    run: async () => done(`Channel ${name} is empty`, await api.post(['topics', topic, name], { action: 'empty' })),
  })
}

/** @param {ChannelStats} channel */
export function pauseChannel(channel) {
  const { topic_name: topic, channel_name: name } = channel
  const act = async (/** @type {string} */ action, /** @type {string} */ text) => done(text, await api.post(['topics', topic, name], { action }))
  if (channel.paused) return attempt(() => act('unpause', `Channel ${name} goes on`))
  const nodes = channel.nodes?.length ?? 1
  ask({
    title: `Pause channel ${name} of ${topic}?`,
    body: html`<p>Nothing is lost. ${format.many(channel.client_count, 'consumer')} on ${format.many(nodes, 'node')} will get no messages until it
      goes on; messages keep gathering${channel.rate ? `, ${format.rate(channel.rate)} just now` : ''}.</p>`,
    action: 'Pause channel',
    run: () => act('pause', `Channel ${name} is paused`),
  })
}

/**
 * Takes a topic away from a node: its producers are to go elsewhere.
 * @param {string} node
 * @param {TopicStats} topic as it is on that node
 */
export function tombstone(node, topic) {
  const name = topic.topic_name
  const losses = topicLosses({ ...topic, node, nodes: null })
  ask({
    title: `Take topic ${name} off ${node}?`,
    body: html`<p>Consumers will not be sent there for it any more (a tombstone on ${format.many(config.lookupd.length, 'nsqlookupd')}), and then it is
      deleted on this node. Producers that publish it there again bring it back.</p>${costs(losses, true)}`,
    action: 'Take off this node',
    danger: true,
    type: atStake(losses, name),
    run: async () => done(`Topic ${name} is taken off ${node}`, await api.remove(['nodes', node], { topic: name })),
  })
}

/**
 * What is done without a question still may fail.
 * @param {() => Promise<void>} run
 */
async function attempt(run) {
  try {
    await run()
  } catch (problem) {
    say('That did not work.', { detail: /** @type {Error} */ (problem).message, bad: true })
  }
}
