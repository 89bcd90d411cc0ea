// The module of the broker.

import * as glue from './generated/broker.js'
import { Module } from './module.js'

/** `sansq.wasm`. */
export const module = new Module(glue, 'sansq/slim')

export { Broker as RawBroker, version as rawVersion } from './generated/broker.js'
