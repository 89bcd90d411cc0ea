// The simulator: whole NSQ systems in virtual time.

import { ArgumentError } from '../errors.js'
import { Handle } from '../module.js'
import { milliseconds, seedOf } from '../values.js'
import { module, RawSimulation } from './raw.js'
import type { SimulationView } from './view.js'

/** What a run begins with: a built-in scenario, a script or a link. */
export type SimulationOptions = BeginOptions | { link: string }

interface BeginOptions {
  /** Feeds all chance: same script, seed and edits, same run. Default: the script's. */
  seed?: number | bigint
  /** The name of a built-in scenario: {@link Simulation.scenarios}. */
  scenario?: string
  /** A script, instead. */
  script?: string
  /** `light` leaves out the life stories of messages and all checks but the cheapest; runs are faster and the same. Default: the script's, or `full`. */
  checks?: 'full' | 'light'
}

/** A built-in scenario. */
export interface Scenario {
  name: string
  title: string
  /** What it is about. */
  about: string
  script: string
}

/** Where to go: after so many steps, or when all of a time and before is done. */
export type Stop = { step: number } | { time: number }

/** How much to look at. */
export interface ViewOptions {
  /** Deadlines of each kind in each channel. Default 5. */
  messages?: number
  /** Frames of each wire. Default 8. */
  frames?: number
}

/** A message, and what happened to it so far. */
export interface MessageLife {
  /** Counts messages from 0, over the whole run. */
  number: number
  /** 16 hexadecimal digits; empty until it was delivered. */
  id: string
  topic: string
  bytes: number
  /** The text it was published with. */
  body: string
  /** Milliseconds. */
  publishedAt: number | null
  events: LifeStep[]
}

/** A step of a message's life. */
export interface LifeStep {
  /** Milliseconds. */
  at: number
  /** The step of the run. */
  step: number
  what:
    | 'sent'
    | 'published'
    | 'put'
    | 'deferred'
    | 'acked'
    | 'unacked'
    | 'delivered'
    | 'received'
    | 'finished'
    | 'requeued'
    | 'touched'
    | 'refused'
    | 'timed-out'
    | 'due'
    | 'dropped'
    | 'sampled-out' | 'not-stored' | 'repeated'
  /** The names of those concerned. */
  node: string | null
  channel: string | null
  /** A client. */
  who: string | null
  /** Which delivery it is, from 1. */
  attempt: number | null
  /** More, if there is more to say. */
  text: string | null
}

/** Something worth a mark on a timeline. */
export interface Mark {
  /** The step it happened in. */
  step: number
  /** Milliseconds. */
  time: number
  kind:
    | 'timeout'
    | 'requeue'
    | 'crash'
    | 'fault'
    | 'kill'
    | 'start'
    | 'stop'
    | 'drop'
    | 'violation'
    | 'edit'
    | 'say'
    | 'error'
  /** Whom it concerns: a node, client, topic or `topic/channel`; empty for nobody. */
  who: string
  /** More, if there is more to say. */
  text: string
  /** How many, of one kind in one step. */
  count: number
}

/**
 * A run of a simulated NSQ system: nodes, which are the daemon's core, producers and consumers that speak the protocol, and between
 * them a network and disks that fail as they are told. Nothing happens by itself: it is run by {@link stepOnce}, {@link runSteps} and
 * {@link runUntil}, changed by {@link apply}, and goes back by {@link seek}.
 */
export class Simulation {
  readonly #handle: Handle<RawSimulation>

  /**
   * Begins a run, or goes on with another one: see {@link fork}.
   *
   * @throws ActionError for a script, scenario or link that cannot be read.
   */
  constructor(options: SimulationOptions | Simulation) {
    const make = (): RawSimulation =>
      options instanceof Simulation ? options.#handle.use((raw) => raw.fork()) : create(options)
    this.#handle = new Handle(module, 'simulation', make)
  }

  /** The built-in scenarios, in the order to read them. */
  static scenarios(): Scenario[] {
    return JSON.parse(module.guard(() => RawSimulation.scenarios())) as Scenario[]
  }

  /** Milliseconds of virtual time, with fractions. */
  get now(): number {
    return this.#handle.use((raw) => raw.now())
  }

  /** Steps done. A step is one thing that happens, or one action applied. */
  get step(): number {
    return this.#handle.use((raw) => raw.steps())
  }

  /** The trace hash of all that has happened: 16 hexadecimal digits, the same for the same run on every machine. */
  get hash(): string {
    return this.#handle.use((raw) => raw.hash())
  }

  /** The first thing found that must not be. */
  get violation(): string | undefined {
    return this.#handle.use((raw) => raw.violation())
  }

  /** The script it began with. */
  get script(): string {
    return this.#handle.use((raw) => raw.script())
  }

  /** When the next step is, in milliseconds; undefined: there is none. */
  nextEventAt(): number | undefined {
    return this.#handle.use((raw) => raw.next_event_at())
  }

  /**
   * Applies an action now, as a step: `kill n1`, `set worker handler=2s`, ... Edits that were ahead, after a {@link seek} back, are
   * forgotten: it is another run from here on.
   *
   * @throws ActionError if it cannot be read, or cannot be done now.
   */
  apply(action: string): void {
    this.#handle.use((raw) => raw.apply(action))
  }

  /** Does the next step; `false` if there is none. */
  stepOnce(): boolean {
    return this.runSteps(1) === 1
  }

  /** Does so many steps, or as many as there are: how many that was. */
  runSteps(count: number): number {
    return this.#handle.use((raw) => raw.run_steps(whole(count, 'count')))
  }

  /**
   * Does all steps up to and including `ms`, at most `maxSteps`: how many that was. If `maxSteps` were done, there may be more, and
   * time is that of the last one; otherwise it is `ms` now.
   */
  runUntil(ms: number, options: { maxSteps?: number } = {}): number {
    const steps = options.maxSteps === undefined ? Infinity : whole(options.maxSteps, 'maxSteps')
    return this.#handle.use((raw) => raw.run_until(milliseconds(ms), steps))
  }

  /** Goes back or ahead. Edits made on the way are made again. */
  seek(to: Stop): void {
    if ('step' in to) this.#handle.use((raw) => raw.seek_step(whole(to.step, 'step')))
    else this.#handle.use((raw) => raw.seek_time(milliseconds(to.time)))
  }

  /** A run in the same state, which goes its own way. */
  fork(): Simulation {
    return new Simulation(this)
  }

  /** The run so far and where it is, as a string for `new Simulation({ link })`, for the fragment of the demo's URL, and for `sansq sim --run`. */
  link(): string {
    return this.#handle.use((raw) => raw.link())
  }

  /** Everything but the messages. */
  view(options: ViewOptions = {}): SimulationView {
    const { messages = 5, frames = 8 } = options
    const json = this.#handle.use((raw) => raw.view(whole(messages, 'messages'), whole(frames, 'frames')))
    return JSON.parse(json) as SimulationView
  }

  /**
   * What is under way on the wires, in rows of eight numbers: wire, direction (0 to the node, 1 to the client), kind, count, sent and
   * arriving in milliseconds, number of the first message or -1, 1 if it waits behind a partition. Kinds: 0 publish, 1 message, 2 FIN,
   * 3 REQ, 4 TOUCH, 5 RDY, 6 response, 7 other.
   */
  motions(): Float64Array {
    return this.#handle.use((raw) => raw.motions())
  }

  /**
   * Messages in the memory of nodes, at most 20,000, in rows of six numbers: index of the topic or channel, message number, state
   * (0 queued, 1 in flight, 2 deferred, 3 queued again after REQ, 4 after its time was up), index of the consumer or -1, attempts, due time or deadline in milliseconds.
   *
   * @param into is filled and returned as far as it is filled, instead of a new array.
   */
  dots(into?: Float64Array): Float64Array {
    if (into === undefined) return this.#handle.use((raw) => raw.dots())
    return into.subarray(0, this.#handle.use((raw) => raw.dots_into(into)))
  }

  /** The life of a message so far; undefined if there is no such message, or with light checks. */
  message(number: number): MessageLife | undefined {
    const json = this.#handle.use((raw) => raw.message(whole(number, 'number')))
    return json === undefined ? undefined : (JSON.parse(json) as MessageLife)
  }

  /** What is worth a mark on a timeline, of steps later than this. */
  marks(sinceStep = 0): Mark[] {
    return JSON.parse(this.#handle.use((raw) => raw.marks_since(whole(sinceStep, 'sinceStep')))) as Mark[]
  }

  /** Gives its memory back. What is left to the garbage collector is freed too, some time. */
  free(): void {
    this.#handle.free()
  }

  [Symbol.dispose](): void {
    this.free()
  }
}

function create(options: SimulationOptions): RawSimulation {
  if ('link' in options) return RawSimulation.from_link(options.link)
  const seed = options.seed === undefined ? undefined : seedOf(options.seed)
  const light = options.checks && options.checks === 'light'
  if (options.script !== undefined) return RawSimulation.from_script(options.script, seed, light)
  if (options.scenario !== undefined) return RawSimulation.from_scenario(options.scenario, seed, light)
  throw new ArgumentError('a simulation needs a scenario, a script or a link')
}

function whole(count: number, name: string): number {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new ArgumentError(`${name} must be a whole number, 0 or more, not ${String(count)}`)
  }
  return count
}
