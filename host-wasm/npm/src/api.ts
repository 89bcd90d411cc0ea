// What `sansq` has to offer, whichever way its module was loaded.

export {
  Broker,
  BrokerSnapshot,
  type BrokerConfig,
  type BrokerEvents,
  type BrokerOptions,
  type MovedEvent,
  type PublishOptions,
} from './broker.js'
export { Connection, type ConnectionEvents } from './connection.js'
export { Emitter } from './emitter.js'
export { ArgumentError, ClosedError, ProtocolError, SansqError, SansqPanic, StateError } from './errors.js'
export type { RealTimeOptions } from './real-time.js'
export type { ChannelStats, ClientStats, TopicStats } from './stats.js'
export { Message, Subscription, type MessageHandler, type SubscribeOptions, type SubscriptionEvents } from './subscription.js'
export { version } from './version.js'
