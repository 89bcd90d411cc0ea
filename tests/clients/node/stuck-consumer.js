// A consumer that is going to be killed: tells of each message and never answers it.

import { Consumer } from './clients.js'

new Consumer(process.argv[2], 'channel_a', (message) => {
  process.send(`${message.body} ${message.attempts}`)
})
