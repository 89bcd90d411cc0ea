import { Broker } from 'sansq'
import { Simulation } from 'sansq/simulation'

const broker = new Broker()
broker.subscribe('t', 'c', (message) => console.log(message.text))
broker.publish('t', 'hello')
broker.free()
const simulation = new Simulation({ scenario: 'first-message' })
simulation.runUntil(5000)
console.log(simulation.now)
