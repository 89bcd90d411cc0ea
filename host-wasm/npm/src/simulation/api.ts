// What `sansq/simulation` has to offer, whichever way its module was loaded.

export { ActionError, ArgumentError, ClosedError, SansqError, SansqPanic, StateError } from '../errors.js'
export {
  Simulation,
  type LifeStep,
  type Mark,
  type MessageLife,
  type Scenario,
  type SimulationOptions,
  type Stop,
  type ViewOptions,
} from './simulation.js'
export type {
  ChannelView,
  ConsumerView,
  DeadlineView,
  FrameView,
  NodeView,
  ProducerView,
  SimulationView,
  TopicView,
  WireView,
} from './view.js'
