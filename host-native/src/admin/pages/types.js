// What nsqadmin's API answers, as the pages read it. Types only: a browser does not load this file.

export {}

/** @typedef {{ percentiles: { quantile: number, average: number, min: number, max: number, count: number }[] | null }} Latency */

/**
 * The last samples, oldest first; null where nothing is known.
 * @typedef {{ interval_ms: number, depth: (number | null)[], rate: (number | null)[] }} History
 */

/**
 * @typedef {object} Client
 * @property {string} node
 * @property {string} remote_address
 * @property {string} version
 * @property {string} client_id
 * @property {string} hostname
 * @property {string} user_agent
 * @property {number} connected ns since it connected
 * @property {number} in_flight_count
 * @property {number} ready_count
 * @property {number} finish_count
 * @property {number} requeue_count
 * @property {number} message_count
 * @property {number} sample_rate percent; 0 for all
 * @property {boolean} deflate
 * @property {boolean} snappy
 * @property {boolean} authed
 * @property {string} auth_identity
 * @property {string} auth_identity_url
 * @property {boolean} tls
 * @property {string} tls_version
 * @property {string} tls_cipher_suite
 * @property {string} [topology_region]
 * @property {string} [topology_zone]
 * @property {string} [node_topology_region]
 * @property {string} [node_topology_zone]
 */

/**
 * A channel: of one node, or of all of them (node `*`), with the nodes in `nodes`.
 * @typedef {object} ChannelStats
 * @property {string} node
 * @property {string} hostname
 * @property {string} topic_name
 * @property {string} channel_name
 * @property {number} depth
 * @property {number} memory_depth
 * @property {number} backend_depth
 * @property {number} in_flight_count
 * @property {number} deferred_count
 * @property {number} requeue_count
 * @property {number} timeout_count
 * @property {number} message_count
 * @property {number} [delivery_msg_count]
 * @property {number} [zone_local_msg_count]
 * @property {number} [region_local_msg_count]
 * @property {number} [global_msg_count]
 * @property {number} client_count
 * @property {ChannelStats[] | null} nodes
 * @property {Client[] | null} clients
 * @property {boolean} paused
 * @property {Latency | null} [e2e_processing_latency]
 * @property {number | null} [rate] messages in per second
 * @property {number | null} [out] messages out per second
 * @property {History} [history]
 */

/**
 * A topic: of one node, or of all of them (node `*`), with the nodes in `nodes`.
 * @typedef {object} TopicStats
 * @property {string} node
 * @property {string} hostname
 * @property {string} topic_name
 * @property {number} depth what no channel has got yet
 * @property {number} memory_depth
 * @property {number} backend_depth
 * @property {number} message_count
 * @property {TopicStats[] | null} nodes
 * @property {ChannelStats[] | null} channels
 * @property {boolean} paused
 * @property {Latency | null} [e2e_processing_latency]
 * @property {number | null} [rate]
 * @property {number | null} [out]
 * @property {History} [history]
 */

/**
 * A row of the list of topics.
 * @typedef {object} TopicRow
 * @property {string} topic_name
 * @property {number} depth
 * @property {number} message_count
 * @property {number} in_flight_count
 * @property {number} deferred_count
 * @property {number} client_count
 * @property {boolean} paused
 * @property {number} channels
 * @property {number} nodes 0 if no nsqd has it
 * @property {number | null} rate
 * @property {number | null} out
 * @property {{ channel_name: string, node: string, depth: number } | null} worst
 * @property {History} [history]
 * @property {{ depth: (number | null)[], rate: (number | null)[] }} [append]
 */

/**
 * @typedef {object} Producer
 * @property {string[] | null} remote_addresses
 * @property {string} hostname
 * @property {string} broadcast_address
 * @property {number} tcp_port
 * @property {number} http_port
 * @property {string} version
 * @property {string} [topology_zone]
 * @property {string} [topology_region]
 * @property {{ topic: string, tombstoned: boolean }[] | null} topics
 * @property {boolean} out_of_date
 * @property {number} [depth]
 * @property {number} [message_count]
 * @property {number | null} [rate]
 * @property {number} [client_count]
 * @property {boolean} [reachable]
 * @property {string} [error]
 */

/**
 * @typedef {object} PeekedMessage
 * @property {string} node
 * @property {string} id
 * @property {number} timestamp ns since 1970
 * @property {number} attempts
 * @property {'queued' | 'in_flight' | 'deferred'} place
 * @property {number} [due] ns
 * @property {number} [deadline] ns
 * @property {string} [client]
 * @property {string} body
 * @property {'utf-8' | 'base64'} encoding
 * @property {number} body_bytes
 * @property {boolean} truncated
 */

/**
 * @typedef {object} Peek
 * @property {PeekedMessage[]} messages
 * @property {string} message
 * @property {{ node: string, supported: boolean, error?: string, in_memory?: number, on_disk?: number }[]} nodes
 */

/** @typedef {{ at: number, message: string }} Event */
/** `samples`: by how many time has gone on. @typedef {Event & { topics: TopicRow[], partial?: boolean, removed?: string[], samples?: number }} TopicsEvent */
/** @typedef {Event & { topic: TopicStats }} TopicEvent */
/** @typedef {Event & { channel: ChannelStats }} ChannelEvent */
/** @typedef {Event & { nodes: Producer[] }} NodesEvent */
/** @typedef {Event & { node: string, topics: TopicStats[], total_messages: number, total_clients: number, rate?: number | null, history?: History }} NodeEvent */
/** @typedef {{ node: string, topic_name: string, channel_name: string, message_count: number }} Count */
/** @typedef {Event & { stats: Record<string, Count>, total: number, rate: number | null, history?: History }} CounterEvent */
