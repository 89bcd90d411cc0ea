// Virtual time that follows the clock of the machine, with one timer: for the next thing that will happen.

/** How to follow the clock. */
export interface RealTimeOptions {
  /** Virtual milliseconds in a real one. Default 1. */
  rate?: number
}

/** What is moved. */
interface Movable {
  now(): number
  nextEventAt(): number | undefined
  runUntil(ms: number): void
}

/** Timers take no more. */
const LONGEST_TIMER = 2 ** 31 - 1

/** @internal */
export class RealTime {
  readonly #movable: Movable
  #following: { rate: number; virtual: number; real: number } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(movable: Movable) {
    this.#movable = movable
  }

  get running(): boolean {
    return this.#following !== undefined
  }

  rateOf(options: RealTimeOptions): number {
    return options.rate ?? 1
  }

  follow(options: RealTimeOptions): () => void {
    const following = { rate: this.rateOf(options), virtual: this.#movable.now(), real: performance.now() }
    this.#following = following
    this.arm()
    return () => {
      if (this.#following === following) this.stop()
    }
  }

  stop(): void {
    this.#following = undefined
    clearTimeout(this.#timer)
  }

  /** Lets the time pass that has passed. */
  catchUp(): void {
    const following = this.#following
    if (following === undefined) return
    const to = following.virtual + (performance.now() - following.real) * following.rate
    // What happens on the way calls back; it is then that late, as on any machine.
    if (to > this.#movable.now()) this.#movable.runUntil(to)
  }

  /** Sets the timer for what comes next. */
  arm(): void {
    const following = this.#following
    if (following === undefined) return
    clearTimeout(this.#timer)
    const at = this.#movable.nextEventAt()
    if (at === undefined) return
    const wait = (at - following.virtual) / following.rate - (performance.now() - following.real)
    this.#timer = setTimeout(
      () => {
        this.catchUp()
        this.arm()
      },
      Math.min(Math.max(Math.ceil(wait), 0), LONGEST_TIMER),
    )
    // In Node a broker alone keeps no process alive.
    const timer = this.#timer as { unref?: () => void }
    timer.unref?.()
  }
}
