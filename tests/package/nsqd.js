#!/usr/bin/env node
// The broker of the package in nsqd's place, for the suites of client libraries: nsqd's addresses as flags, and where it listens on
// stderr.

import { parseArgs } from 'node:util'
import { listen } from 'sansq/node'

const { values } = parseArgs({
  args: process.argv.slice(2).map((word) => word.replace(/^-(?=[a-z])/, '--')),
  options: {
    'data-path': { type: 'string' }, // has no use for one
    'tcp-address': { type: 'string', default: '127.0.0.1:0' },
    'http-address': { type: 'string', default: '127.0.0.1:0' },
  },
})
const port = (address) => Number(address.split(':')[1])
const listener = await listen({
  port: port(values['tcp-address']),
  http: port(values['http-address']) || true,
})
console.error(`TCP: listening on ${listener.address}\nHTTP: listening on ${listener.httpAddress}`)
process.once('SIGTERM', () => listener.close())
