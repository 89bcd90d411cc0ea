/**
 * How fast to play when the pace is `auto`. A message takes about [`FLIGHT`] of real time to cross a wire, and a gap in
 * which nothing moves at most [`GAP`]: so milliseconds of network and minutes of waiting are both worth watching.
 */

/** Real ms for a message to cross a wire. */
const FLIGHT = 650;
/** Real ms for the longest idle gap. */
const GAP = 900;
const SLOWEST = 1 / 1000;

export class AutoPace {
  #gapEnds: number | undefined;
  #gapSpeed = 1;

  /** Virtual ms per real ms at `now`; `motions` as of `Simulation.motions`, `next` is the next event. */
  speed(motions: Float64Array, now: number, next: number | undefined): number {
    const flight = shortestFlight(motions);
    if (flight !== undefined) {
      this.#gapEnds = undefined;
      return Math.min(1, Math.max(SLOWEST, flight / FLIGHT));
    }
    if (next === undefined) return 1;
    if (next !== this.#gapEnds) {
      this.#gapEnds = next;
      this.#gapSpeed = Math.max(1, (next - now) / GAP);
    }
    return this.#gapSpeed;
  }
}

/** The time, in ms, that the quickest of those on the wires takes; undefined if there is none. */
function shortestFlight(motions: Float64Array): number | undefined {
  let shortest = Infinity;
  for (let row = 0; row + 8 <= motions.length; row += 8) {
    const kind = motions[row + 2] ?? 7;
    if (kind > 3) continue;
    const flight = (motions[row + 5] ?? 0) - (motions[row + 4] ?? 0);
    if (flight > 0) shortest = Math.min(shortest, flight);
  }
  return shortest === Infinity ? undefined : shortest;
}
