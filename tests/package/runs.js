// What the simulator must do everywhere: in Node and in a page.

/** Runs what native builds have run, `{ scenario, seed, hash }` each: `[what, hash there, hash here]` of those that differ. */
export function differing(Simulation, runs) {
  return runs.flatMap(({ scenario, seed, hash }) => {
    const simulation = new Simulation({ scenario, seed: BigInt(seed) })
    simulation.runUntil(simulation.view().until)
    const here = simulation.hash
    simulation.free()
    return here === hash ? [] : [[`${scenario} ${seed}`, hash, here]]
  })
}

/** Deliveries per second of the clock, of the scenario that is made for it: the best of a few runs, for the first compile. */
export function deliveriesPerSecond(Simulation) {
  return Math.max(...Array.from({ length: 4 }, () => benchmark(Simulation)))
}

function benchmark(Simulation) {
  const simulation = new Simulation({ scenario: 'benchmark' })
  const { until } = simulation.view()
  const start = performance.now()
  simulation.runUntil(until)
  const elapsed = performance.now() - start
  const channels = simulation.view().nodes[0].topics[0].channels
  simulation.free()
  return (channels.reduce((sum, { delivered }) => sum + delivered, 0) / elapsed) * 1000
}
