// The simulator of the package.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ActionError, ArgumentError, ClosedError, Simulation } from 'sansq/simulation'

const SCRIPT = `title test
network latency=10ms jitter=0
node n1
producer p topic=t rate=10/s
consumer c topic=t channel=ch handler=5ms`

it('runs every built-in scenario to its point', () => {
  const scenarios = Simulation.scenarios()
  assert.ok(scenarios.length >= 10)
  for (const { name, title, about, script } of scenarios) {
    assert.ok(title && about && script, name)
    const simulation = new Simulation({ scenario: name })
    const { until } = simulation.view()
    assert.ok(simulation.runUntil(until) > 10, name)
    assert.equal(simulation.violation, undefined, name)
    assert.equal(simulation.now, until)
    simulation.free()
  }
})

it('steps, runs and tells what is there', () => {
  const simulation = new Simulation({ script: SCRIPT, seed: 7n })
  assert.equal(simulation.stepOnce(), true)
  assert.equal(simulation.step, 1)
  assert.equal(simulation.runSteps(5), 5)
  assert.equal(simulation.runUntil(100_000, { maxSteps: 3 }), 3)
  assert.ok(simulation.now < 100_000)
  simulation.runUntil(5000)
  const view = simulation.view({ frames: 2 })
  assert.equal(view.title, 'test')
  assert.deepEqual([view.step, view.now, view.hash], [simulation.step, 5000, simulation.hash])
  const [channel] = view.nodes[0].topics[0].channels
  assert.equal(channel.name, 'ch')
  assert.ok(channel.finished >= 45)
  assert.ok(view.wires.every((wire) => wire.frames.length <= 2))
  assert.equal(view.consumers[0].name, 'c')
  assert.ok(view.producers[0].acked >= 45)
  assert.ok(simulation.nextEventAt() > 5000)
  assert.equal(simulation.script, SCRIPT)
})

it('shows messages on the wires and in the nodes, and their lives', () => {
  const simulation = new Simulation({ script: SCRIPT })
  simulation.runUntil(0) // which does what the script says at once
  simulation.apply('set c handler=10s')
  while (simulation.motions().length === 0) simulation.stepOnce()
  assert.equal(simulation.motions().length % 8, 0)
  simulation.runUntil(3000)
  const dots = simulation.dots()
  assert.ok(dots.length >= 60 && dots.length % 6 === 0)
  const buffer = new Float64Array(60)
  assert.deepEqual(simulation.dots(buffer), dots.slice(0, 60))
  assert.equal(simulation.dots(buffer).buffer, buffer.buffer)
  const life = simulation.message(0)
  assert.deepEqual([life.number, life.topic, life.id.length], [0, 't', 16])
  assert.deepEqual(life.events.slice(0, 3).map(({ what }) => what), ['sent', 'published', 'put'])
  const delivery = life.events.find(({ what }) => what === 'delivered')
  assert.deepEqual([delivery.node, delivery.channel, delivery.who, delivery.attempt], ['n1', 'ch', 'c', 1])
  assert.equal(simulation.message(1e9), undefined)
})

it('goes back and does the same again', () => {
  const simulation = new Simulation({ scenario: 'slow-consumer' })
  simulation.runSteps(100)
  const [step, hash] = [simulation.step, simulation.hash]
  simulation.apply('stall tired')
  simulation.runSteps(2000)
  const end = [simulation.step, simulation.hash]
  simulation.seek({ step })
  assert.equal(simulation.hash, hash)
  simulation.seek({ step: end[0] })
  assert.equal(simulation.hash, end[1])
  simulation.seek({ time: 0 })
  assert.equal(simulation.now, 0)
})

it('forks, and the forks go their own ways', () => {
  const simulation = new Simulation({ script: SCRIPT })
  simulation.runSteps(200)
  const fork = simulation.fork()
  assert.equal(fork.hash, simulation.hash)
  fork.apply('kill n1')
  fork.runSteps(10)
  simulation.runSteps(11)
  assert.notEqual(fork.hash, simulation.hash)
  assert.equal(fork.view().nodes[0].up, false)
  assert.equal(simulation.view().nodes[0].up, true)
  fork.free()
  simulation.runSteps(1)
})

it('is a link, edits and position included', () => {
  const simulation = new Simulation({ scenario: 'fan-out', seed: 3 })
  simulation.runSteps(40)
  simulation.apply('crash A1')
  simulation.runSteps(40)
  const link = simulation.link()
  const again = new Simulation({ link })
  assert.deepEqual([again.step, again.now, again.hash], [simulation.step, simulation.now, simulation.hash])
  assert.equal(again.link(), link)
  assert.ok(again.marks().some((mark) => mark.kind === 'edit' && mark.text === 'crash A1'))
  const last = again.marks().at(-1)
  assert.deepEqual(again.marks(last.step), [])
})

it('is the same with light checks, only without life stories', () => {
  const [full, light] = ['full', 'light'].map((checks) => new Simulation({ script: SCRIPT, checks }))
  for (const simulation of [full, light]) simulation.runSteps(500)
  assert.equal(full.hash, light.hash)
  assert.ok(full.message(0))
  assert.equal(light.message(0), undefined)
})

it('names what cannot be done', () => {
  const simulation = new Simulation({ script: SCRIPT })
  simulation.runUntil(0)
  const code = (code, message) => (error) => error.code === code && message.test(error.message)
  assert.throws(() => simulation.apply('explode n1'), code('E_ACTION', /explode/))
  assert.throws(() => simulation.apply('kill n9'), code('E_ACTION', /n9/))
  assert.throws(() => simulation.apply('set c handlr=1s'), code('E_ACTION', /handlr/))
  assert.throws(() => new Simulation({ script: 'node n1\nnode' }), code('E_ACTION', /line 2/))
  assert.throws(() => new Simulation({ scenario: 'none' }), code('E_ACTION', /first-message/))
  assert.throws(() => new Simulation({ link: 'seed=x' }), ActionError)
  assert.throws(() => new Simulation({}), ArgumentError)
  assert.throws(() => simulation.seek({ time: Infinity }), ArgumentError)
  assert.throws(() => simulation.runSteps(0.5), ArgumentError)
  simulation.free()
  assert.throws(() => simulation.hash, ClosedError)
})
