// Is compiled, not run: the types that require() gives.

import sansq = require('sansq')
import node = require('sansq/node')

const broker: sansq.Broker = new sansq.Broker()
const listener: Promise<node.Listener> = node.listen({ broker })

export = listener
