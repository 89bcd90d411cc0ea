// A consumer of a few lines: it takes what it is given, and finishes it, or keeps it.

import { once } from 'node:events'
import { connect } from 'node:net'

/** Subscribes until the test ends. `keeps`: nothing is finished. */
export async function consume(t, node, topic, channel, { ready = 10, keeps = false, id = 'worker' } = {}) {
  const [host, port] = node.addresses.TCP.split(':')
  const socket = connect(Number(port), host)
  await once(socket, 'connect')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  const identity = Buffer.from(JSON.stringify({ client_id: id, hostname: `${id}.example`, user_agent: 'test/1.0', heartbeat_interval: 60_000, msg_timeout: 600_000 }))
  const size = Buffer.alloc(4)
  size.writeUInt32BE(identity.length)
  let read = Buffer.alloc(0)
  socket.on('data', (data) => {
    read = Buffer.concat([read, data])
    while (read.length >= 4 && read.length >= 4 + read.readUInt32BE(0)) {
      const frame = read.subarray(4, 4 + read.readUInt32BE(0))
      read = read.subarray(4 + frame.length)
      // A message: type 2, timestamp, attempts, id, body.
      if (frame.readUInt32BE(0) === 2 && !keeps) socket.write(`FIN ${frame.subarray(14, 30)}\n`)
      if (frame.subarray(4).equals(Buffer.from('_heartbeat_'))) socket.write('NOP\n')
    }
  })
  socket.write(Buffer.concat([Buffer.from('  V2IDENTIFY\n'), size, identity, Buffer.from(`SUB ${topic} ${channel}\nRDY ${ready}\n`)]))
  return socket
}
