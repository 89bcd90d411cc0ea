const { readFileSync } = require('node:fs')
const { Broker, initSync } = require('sansq/slim')
const simulator = require('sansq/simulation/slim')

initSync(readFileSync(require.resolve('sansq/sansq.wasm')))
simulator.initSync(readFileSync(require.resolve('sansq/simulation.wasm')))

const broker = new Broker()
broker.subscribe('t', 'c', (message) => console.log(message.text))
broker.publish('t', 'hello')
broker.free()
const simulation = new simulator.Simulation({ scenario: 'first-message' })
simulation.runUntil(5000)
console.log(simulation.now)
