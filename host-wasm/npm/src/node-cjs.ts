// `sansq/node` by require().

import './index-cjs.js'

export * from './listen.js'
