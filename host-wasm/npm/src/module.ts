// A wasm module and what lives in it: the one place that touches the generated bindings. It loads the module, turns the codes that
// Rust throws into error classes, and survives a trap: the instance that trapped is given up with everything in it, and a fresh one takes its place.

import { ActionError, ArgumentError, ClosedError, ProtocolError, SansqError, SansqPanic, StateError } from './errors.js'

/** What `init` takes: the module, its bytes, a response that carries them, or where to fetch it. */
export type WasmSource = WebAssembly.Module | BufferSource | Response | URL | string

/** What wasm-bindgen generates for every module. */
interface Glue {
  default(options: { module_or_path: WasmSource }): Promise<unknown>
  initSync(options: { module: WebAssembly.Module | BufferSource }): unknown
  __wbg_reset_state(): void
}

/** One of the modules of the package. */
export class Module {
  readonly #glue: Glue
  readonly #slim: string
  #ready = false
  #generation = 0
  #panic: SansqPanic | undefined

  /** @param slim the entry of the package whose `init` loads this module. */
  constructor(glue: Glue, slim: string) {
    this.#glue = glue
    this.#slim = slim
  }

  /** Loads it from `source`. The second time does nothing. */
  async load(source: WasmSource | PromiseLike<WasmSource>): Promise<void> {
    await this.#glue.default({ module_or_path: await source })
    this.#ready = true
  }

  /** As {@link load}, at once. Browsers refuse this for modules as large as ours outside workers. */
  loadSync(module: WebAssembly.Module | BufferSource): void {
    this.#glue.initSync({ module })
    this.#ready = true
  }

  /** Runs `call`, which may use the bindings. Whatever it throws is an error of ours. */
  guard<T>(call: () => T): T {
    if (!this.#ready) {
      throw new StateError('E_NOT_INITIALISED', `call \`await init()\` from ${this.#slim} before anything else`)
    }
    try {
      return call()
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError || isStackOverflow(error)) throw this.#giveUp(error)
      throw translate(error)
    }
  }

  /** After a trap: the reason, and a fresh instance. */
  #giveUp(cause: unknown): SansqPanic {
    const panic = new SansqPanic(`the module trapped: ${String(cause)}`, { cause })
    this.#panic = panic
    this.#generation += 1
    this.#glue.__wbg_reset_state()
    return panic
  }

  /** Which instance it is, counted from 0. */
  get generation(): number {
    return this.#generation
  }

  /** That the `what` was in an instance given up. */
  lost(what: string): SansqPanic {
    return new SansqPanic(`the ${what} was lost in an earlier panic: ${this.#panic?.message ?? ''}`, { cause: this.#panic })
  }
}

function translate(error: unknown): unknown {
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

interface Freeable {
  free(): void
}

/** An object in a module: checks at each use that it still is there. */
export class Handle<T extends Freeable> {
  readonly #module: Module
  readonly #what: string
  readonly #generation: number
  #raw: T | undefined

  constructor(module: Module, what: string, make: () => T) {
    this.#module = module
    this.#what = what
    this.#raw = module.guard(make)
    this.#generation = module.generation
  }

  /** Lets `call` use the object. */
  use<R>(call: (raw: T) => R): R {
    const raw = this.#raw
    if (raw === undefined) throw new ClosedError(`the ${this.#what} was freed`)
    if (this.#generation !== this.#module.generation) throw this.#module.lost(this.#what)
    return this.#module.guard(() => call(raw))
  }

  /** Gives its memory back. What is left to the garbage collector is freed too, some time. */
  free(): void {
    const raw = this.#raw
    this.#raw = undefined
    if (raw !== undefined && this.#generation === this.#module.generation) this.#module.guard(() => raw.free())
  }
}
