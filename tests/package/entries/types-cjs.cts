// Is compiled, not run: the types that require() gives.

import sansq = require('sansq')
import node = require('sansq/node')
import simulator = require('sansq/simulation')

const broker: sansq.Broker = new sansq.Broker()
const listener: Promise<node.Listener> = node.listen({ broker })
const simulation: simulator.Simulation = new simulator.Simulation({ scenario: 'fan-out' })

export = { listener, simulation }
