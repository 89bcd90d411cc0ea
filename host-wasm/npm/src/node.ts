// `sansq/node` as an ES module.

import './index-node.js'

export * from './listen.js'
