// The one place that touches the generated bindings. It loads the module, turns the codes that Rust throws into error
// classes, and survives a trap: the instance that trapped is given up with everything in it, and a fresh one takes its place.

import * as glue from './generated/sansq_wasm.js'
import { ActionError, ArgumentError, ClosedError, ProtocolError, SansqError, SansqPanic, StateError } from './errors.js'

/** What `init` takes: the module, its bytes, a response that carries them, or where to fetch it. */
export type WasmSource = WebAssembly.Module | BufferSource | Response | URL | string

let ready = false
let generation = 0
let panic: SansqPanic | undefined

/** Loads the module from `source`. The second time does nothing. */
export async function load(source: WasmSource | PromiseLike<WasmSource>): Promise<void> {
  await glue.default({ module_or_path: await source })
  ready = true
}

/** As {@link load}, at once. Browsers refuse this for modules as large as ours outside workers. */
export function loadSync(module: WebAssembly.Module | BufferSource): void {
  glue.initSync({ module })
  ready = true
}

/** Runs `call`, which may use the bindings. Whatever it throws is an error of ours. */
export function guard<T>(call: () => T): T {
  if (!ready) {
    throw new StateError('E_NOT_INITIALISED', 'call `await init()` from sansq/slim before anything else')
  }
  try {
    return call()
  } catch (error) {
    throw translate(error)
  }
}

function translate(error: unknown): unknown {
  if (error instanceof WebAssembly.RuntimeError || isStackOverflow(error)) return giveUp(error)
  if (!(error instanceof Error) || !error.name.startsWith('E_')) return error
  switch (error.name) {
    case 'E_ARGUMENT':
      return new ArgumentError(error.message)
    case 'E_ACTION':
      return new ActionError(error.message)
    case 'E_BAD_TOPIC':
    case 'E_BAD_CHANNEL':
      return new ProtocolError(error.name, error.message)
    default:
      return new SansqError(error.name, error.message)
  }
}

function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && /call stack/i.test(error.message)
}

/** After a trap: the reason, and a fresh instance. */
function giveUp(cause: unknown): SansqPanic {
  panic = new SansqPanic(`the module trapped: ${String(cause)}`, { cause })
  generation += 1
  glue.__wbg_reset_state()
  return panic
}

interface Freeable {
  free(): void
}

/** An object of the module: checks at each use that it still is one. */
export class Handle<T extends Freeable> {
  readonly #what: string
  readonly #generation: number
  #raw: T | undefined

  constructor(what: string, make: () => T) {
    this.#what = what
    this.#raw = guard(make)
    this.#generation = generation
  }

  /** Lets `call` use the object. */
  use<R>(call: (raw: T) => R): R {
    const raw = this.#raw
    if (raw === undefined) throw new ClosedError(`the ${this.#what} was freed`)
    if (this.#generation !== generation) throw lost(this.#what)
    return guard(() => call(raw))
  }

  /** Gives its memory back. What is left to the garbage collector is freed too, some time. */
  free(): void {
    const raw = this.#raw
    this.#raw = undefined
    if (raw !== undefined && this.#generation === generation) guard(() => raw.free())
  }
}

function lost(what: string): SansqPanic {
  return new SansqPanic(`the ${what} was lost in an earlier panic: ${panic?.message ?? ''}`, { cause: panic })
}

export { Broker as RawBroker, Simulation as RawSimulation, version as rawVersion } from './generated/sansq_wasm.js'
