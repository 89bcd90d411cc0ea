// A simulated system as it is at a moment. Times are milliseconds of virtual time.

/** Everything but the messages. */
export interface SimulationView {
  now: number
  step: number
  /** The trace hash: 16 hexadecimal digits. */
  hash: string
  title: string
  /** What the script says last. */
  caption: string | null
  /** Where its guided part ends. */
  until: number | null
  /** Nothing will happen any more by itself. */
  ended: boolean
  /** The first thing found that must not be. */
  violation: string | null
  nodes: NodeView[]
  producers: ProducerView[]
  consumers: ConsumerView[]
  wires: WireView[]
}

/** An nsqd. */
export interface NodeView {
  name: string
  /** Whether it serves. */
  up: boolean
  state: 'down' | 'starting' | 'up' | 'stopping'
  /** Its options by name. */
  config: Record<string, string>
  disk: { bytes: number; unsyncedBytes: number; full: boolean; files: number }
  topics: TopicView[]
}

/** A topic of a node. */
export interface TopicView {
  name: string
  paused: boolean
  /** Messages waiting in the topic itself, those on disk included. */
  depth: number
  /** Those on disk. */
  backendDepth: number
  messageCount: number
  channels: ChannelView[]
}

/** A channel of a topic of a node. Counters go on over restarts of the node. */
export interface ChannelView {
  /** As in the rows of {@link Simulation.dots}. */
  index: number
  name: string
  paused: boolean
  ephemeral: boolean
  /** Messages waiting, those on disk included; not those in flight or deferred. */
  depth: number
  /** Those on disk. */
  backendDepth: number
  inFlight: number
  deferred: number
  messageCount: number
  delivered: number
  finished: number
  requeued: number
  timedOut: number
  dropped: number
  /** Messages that consumers handled a second time. */
  duplicates: number
  /** The first of those in flight, by deadline. */
  nextTimeouts: DeadlineView[]
  /** The first of those deferred, by due time. */
  nextDeferred: DeadlineView[]
}

/** A message and when something will happen to it. */
export interface DeadlineView {
  /** The message's number. */
  message: number
  at: number
}

/** A producer. */
export interface ProducerView {
  index: number
  name: string
  topic: string
  /** The name of a node, or `*`. */
  node: string
  up: boolean
  stalled: boolean
  /** Its options by name. */
  options: Record<string, string>
  published: number
  acked: number
  failed: number
  /** Sent and not answered yet. */
  waiting: number
}

/** A consumer. */
export interface ConsumerView {
  index: number
  name: string
  topic: string
  channel: string
  up: boolean
  stalled: boolean
  /** Its options by name. */
  options: Record<string, string>
  /** RDY, over all its connections. */
  ready: number
  inFlight: number
  finished: number
  requeued: number
  received: number
  backoff: { level: number; until: number | null }
}

/** What is between a client and a node. */
export interface WireView {
  /** As in the rows of {@link Simulation.motions}. */
  index: number
  client: string
  node: string
  state: 'connected' | 'connecting' | 'muted' | 'parted' | 'closed'
  latency: number
  /** To the node. */
  bytesIn: number
  /** To the client. */
  bytesOut: number
  /** The last commands and frames, decoded; the newest last. */
  frames: FrameView[]
}

/** A command or frame. */
export interface FrameView {
  at: number
  toNode: boolean
  /** In words. */
  text: string
  /** The first bytes of what it came in; empty for those behind the first in it. */
  hex: string
}
