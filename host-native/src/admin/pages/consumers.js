// The consumers of the channel in which most of a topic's messages wait: the state of a topic does not have them, so they are
// asked for by themselves, now and then.

import { useEffect, useState } from './preact.js'
import { pace } from './backlog.js'
import { paused } from './live.js'
import * as api from './api.js'

/** @typedef {import('./types.js').TopicStats} TopicStats */
/** @typedef {import('./backlog.js').RatedClient} RatedClient */

/** Between two looks, in ms. */
const EVERY = 4000

/**
 * @param {string} topic
 * @param {string} channel empty for none
 * @returns {RatedClient[] | null} null until they are known
 */
export function useConsumers(topic, channel) {
  const [known, setKnown] = useState(/** @type {{ channel: string, clients: RatedClient[] } | null} */ (null))
  useEffect(() => {
    if (channel === '') return
    let stopped = false
    /** @type {{ at: number, finished: Map<string, number> }[]} */
    let before = []
    const look = async () => {
      if (document.hidden || paused.get()) return
      const stats = await api.read(['topics', topic, channel]).catch(() => null)
      if (stopped || !stats) return
      const { states, rated } = pace(before, Date.now(), stats.clients ?? [])
      before = states
      setKnown({ channel, clients: rated })
    }
    look()
    const timer = setInterval(look, EVERY)
    return () => {
      stopped = true
      clearInterval(timer)
    }
  }, [topic, channel])
  return known?.channel === channel ? known.clients : null
}

/**
 * The topic, with consumers in one of its channels.
 * @param {TopicStats} topic
 * @param {string} name
 * @param {RatedClient[] | null} clients
 * @returns {TopicStats}
 */
export function withConsumers(topic, name, clients) {
  if (!clients) return topic
  const enter = (/** @type {TopicStats} */ place) => ({
    ...place,
    channels: (place.channels ?? []).map((channel) =>
      channel.channel_name === name ? { ...channel, clients: clients.filter(({ node }) => place.node === '*' || node === place.node) } : channel,
    ),
  })
  return { ...enter(topic), nodes: (topic.nodes ?? []).map(enter) }
}

/**
 * The channel in which most messages wait, if it is worth asking who reads it.
 * @param {TopicStats} topic
 */
export function busiest({ channels }) {
  const served = (channels ?? []).filter(({ depth, client_count, paused }) => depth > 0 && client_count > 0 && !paused)
  return served.reduce((/** @type {import('./types.js').ChannelStats | null} */ most, one) => (most && most.depth >= one.depth ? most : one), null)?.channel_name ?? ''
}
