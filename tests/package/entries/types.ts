// Is compiled, not run: what the package's types say.

import { Broker, SansqError, type TopicStats } from 'sansq'
import { ActionError, Simulation, type Mark, type SimulationView } from 'sansq/simulation'
import { initSync } from 'sansq/simulation/slim'
import { init } from 'sansq/slim'
import { listen, type Listener } from 'sansq/node'

const broker: Broker = new Broker({ seed: 7n, config: { msgTimeout: 1000, publishAck: 'synced' } })
const subscription = broker.subscribe('t', 'c', { maxInFlight: 2 }, async (message) => {
  const order: { total: number } = message.json()
  if (order.total > 1) message.requeue(1000)
})
subscription.on('error', (error: unknown) => console.log(error))
broker.on('timedOut', ({ topic, channel, ids }) => console.log(topic, channel?.length, ids[0]?.length))
const stats: TopicStats[] = broker.stats()
const until: number | undefined = broker.nextEventAt()

const simulation = new Simulation({ scenario: 'fan-out' })
const view: SimulationView = simulation.view()
const marks: Mark[] = simulation.marks()
const rows: Float64Array = simulation.dots()

const listener: Promise<Listener> = listen({ port: 0, http: true })
const ready: Promise<void> = init(new URL('https://example.org/sansq.wasm'))
const code = (error: ActionError): string => (error satisfies SansqError).code

// @ts-expect-error: not an option of nsqd
new Broker({ config: { msgTimeOut: 1000 } })
// @ts-expect-error: a scenario, a script or a link
new Simulation({ name: 'fan-out' })
// @ts-expect-error: there is no such event
broker.on('nothing', () => {})

export { code, initSync, listener, marks, ready, rows, stats, until, view }
