// The counts of a broker, with the keys of nsqd's `/stats?format=json`. Counters are since the topic or channel came to be.

/** A topic's counts. */
export interface TopicStats {
  topic_name: string
  /** By name. */
  channels: ChannelStats[]
  /** Messages waiting in the topic itself, because it has no channel or is paused; those on disk included. */
  depth: number
  /** Those on disk. */
  backend_depth: number
  /** Messages published. */
  message_count: number
  /** Their bytes. */
  message_bytes: number
  paused: boolean
}

/** A channel's counts. */
export interface ChannelStats {
  channel_name: string
  /** Messages waiting, those on disk included; not those in flight or deferred. */
  depth: number
  /** Those on disk. */
  backend_depth: number
  /** Messages with consumers. */
  in_flight_count: number
  /** Messages waiting for their time. */
  deferred_count: number
  /** Messages put in by the topic. */
  message_count: number
  /** Messages given back. */
  requeue_count: number
  /** Messages taken back because their time was up. */
  timeout_count: number
  client_count: number
  clients: ClientStats[]
  paused: boolean
}

/** A consumer's counts. */
export interface ClientStats {
  /** The number of its connection. */
  connection: number
  ready_count: number
  in_flight_count: number
  message_count: number
  finish_count: number
  requeue_count: number
}
