// What an action would cost: counted from the last state, and told before it is done.

/** @typedef {import('./types.js').TopicStats} TopicStats */
/** @typedef {import('./types.js').ChannelStats} ChannelStats */

/**
 * @typedef {object} Loss
 * @property {string} node
 * @property {number} waiting in queues, in memory and on disk
 * @property {number} inFlight
 * @property {number} deferred
 * @property {number} consumers
 */

/** @typedef {Loss & { nodes: Loss[], messages: number }} Losses */

/**
 * The sum over nodes; `messages` is all that is in one of the three places.
 * @param {Loss[]} nodes
 * @returns {Losses}
 */
function sum(nodes) {
  const total = { node: '*', waiting: 0, inFlight: 0, deferred: 0, consumers: 0 }
  for (const { waiting, inFlight, deferred, consumers } of nodes) {
    total.waiting += waiting
    total.inFlight += inFlight
    total.deferred += deferred
    total.consumers += consumers
  }
  return { ...total, nodes, messages: total.waiting + total.inFlight + total.deferred }
}

/**
 * @param {ChannelStats} stats
 * @returns {Loss}
 */
const ofOne = (stats) => ({
  node: stats.node,
  waiting: stats.depth,
  inFlight: stats.in_flight_count,
  deferred: stats.deferred_count,
  consumers: stats.client_count,
})

/**
 * What a channel holds, and whom it serves.
 * @param {ChannelStats} channel
 */
export const channelLosses = (channel) => sum((channel.nodes?.length ? channel.nodes : [channel]).map(ofOne))

/**
 * What a topic holds with all its channels. A message that waits in three channels counts three times.
 * @param {TopicStats} topic
 */
export function topicLosses(topic) {
  const nodes = topic.nodes?.length ? topic.nodes : [topic]
  return sum(
    nodes.map((node) => {
      const own = { node: node.node, waiting: node.depth, inFlight: 0, deferred: 0, consumers: 0 }
      return { ...sum([own, ...(node.channels ?? []).map(ofOne)]), node: node.node }
    }),
  )
}

/**
 * What is only in a topic's own queue.
 * @param {TopicStats} topic
 */
export const queueLosses = (topic) =>
  sum((topic.nodes?.length ? topic.nodes : [topic]).map(({ node, depth }) => ({ node, waiting: depth, inFlight: 0, deferred: 0, consumers: 0 })))
