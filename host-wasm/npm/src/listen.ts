// A broker on a real TCP port, for clients that know nothing of JavaScript: what a test suite needs instead of a daemon.

import { createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net'

import { Broker, type BrokerOptions } from './broker.js'
import { ClosedError } from './errors.js'
import { httpServer } from './http.js'

/** Where and how to listen. */
export interface ListenOptions extends BrokerOptions {
  /** TCP port for clients. Default 0: any that is free. */
  port?: number
  /** Address to listen on. Default 127.0.0.1: this machine only. */
  host?: string
  /** Port of the HTTP API, or `true` for any that is free. Default: no HTTP. */
  http?: number | boolean
  /** Whether time follows the clock. Default true; with false it stands until `broker.advance()` moves it. */
  realTime?: boolean
  /** A broker to serve. Default: a new one, made of the other options. */
  broker?: Broker
}

/** Milliseconds that a client in this process needs at most to answer. */
const PATIENCE = 2

/** A broker that listens. */
export interface Listener {
  /** The broker that is served: publish, subscribe and look at statistics without a socket. */
  readonly broker: Broker
  readonly host: string
  readonly port: number
  /** `host:port`, as clients want it. */
  readonly address: string
  /** Of the HTTP API, if there is one. */
  readonly httpPort: number | undefined
  readonly httpAddress: string | undefined
  /**
   * Lets `ms` virtual milliseconds pass, where time does not follow the clock. After each thing that happens on the way, heartbeats
   * for one, clients have `patience` milliseconds of the clock to say something, and as much again after everything they say.
   * Default 2, which is enough for clients in this process.
   */
  advance(ms: number, options?: { patience?: number }): Promise<void>
  /** Closes all connections and ports, and frees the broker unless it was given. */
  close(): Promise<void>
}

/** Serves a broker on TCP. Resolves when it listens; rejects as `net` does, for example with `EADDRINUSE`. */
export async function listen(options: ListenOptions = {}): Promise<Listener> {
  const host = options.host ?? '127.0.0.1'
  const broker = options.broker ?? new Broker(options)
  const sockets = new Set<Socket>()
  let heard = 0
  const tcp = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', () => (heard += 1))
    serve(broker, socket)
  })
  const http = options.http === undefined || options.http === false ? undefined : httpServer(broker)
  const stop = options.realTime === false ? undefined : broker.followRealTime()
  const advance = (ms: number, { patience = PATIENCE } = {}): Promise<void> =>
    broker.advanceAsync(ms, async () => {
      for (let before = -1; before !== heard; ) {
        before = heard
        await new Promise((resolve) => setTimeout(resolve, patience))
        // However busy the machine is: once for the client to read, once for it to be heard.
        for (let round = 0; round < 3; round += 1) await new Promise((resolve) => setImmediate(resolve))
      }
    })
  const close = async (): Promise<void> => {
    stop?.()
    for (const socket of sockets) socket.destroy()
    http?.closeAllConnections()
    await Promise.all([tcp, http].map((server) => server && closed(server)))
    if (options.broker === undefined) broker.free()
  }
  try {
    const port = await bound(tcp, options.port ?? 0, host)
    const httpPort = http && (await bound(http, options.http === true ? 0 : Number(options.http), host))
    const at = (port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
    const httpAddress = httpPort === undefined ? undefined : at(httpPort)
    return { broker, host, port, address: at(port), httpPort, httpAddress, advance, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Carries bytes between a socket and a connection of the broker. */
function serve(broker: Broker, socket: Socket): void {
  const connection = broker.connect()
  connection.on('data', (bytes) => {
    // A client that does not read is not listened to: it gets no more than it was ready for.
    if (!socket.write(bytes)) socket.pause()
  })
  connection.on('close', () => socket.end())
  socket.on('drain', () => socket.resume())
  socket.on('data', (bytes) => {
    try {
      connection.send(bytes)
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new ClosedError(String(error)))
    }
  })
  socket.on('end', () => connection.end())
  // What a broken socket says is of no use: the connection is over.
  socket.on('error', () => socket.destroy())
  socket.on('close', () => connection.close())
}

function bound(server: TcpServer, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}

function closed(server: TcpServer): Promise<void> {
  return new Promise((resolve) => {
    // Fails only if it never listened.
    server.close(() => resolve())
  })
}
