// The module of the simulator.

import * as glue from '../generated/simulation.js'
import { Module } from '../module.js'

/** `simulation.wasm`. */
export const module = new Module(glue, 'sansq/simulation/slim')

export { Simulation as RawSimulation } from '../generated/simulation.js'
