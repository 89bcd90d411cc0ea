// What can go wrong, as classes. Every error of this package is a SansqError and has a `code`; a program that may meet two
// copies of the package (ESM and CommonJS in one process) compares codes rather than classes.

/** The base of all errors of this package. */
export class SansqError extends Error {
  /** A word to compare with, for example `E_BAD_TOPIC`. */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/** An argument or option that cannot be taken: `E_ARGUMENT`. */
export class ArgumentError extends SansqError {
  constructor(message: string) {
    super('E_ARGUMENT', message)
  }
}

/** A script, action or link of a simulation that cannot be read, or an action that cannot be done now: `E_ACTION`. The message names the problem, and what there is instead. */
export class ActionError extends SansqError {
  constructor(message: string) {
    super('E_ACTION', message)
  }
}

/** What the broker answered a command with. `code` is the protocol's word: `E_BAD_TOPIC`, `E_BAD_MESSAGE`, `E_FIN_FAILED`, ... */
export class ProtocolError extends SansqError {}

/** What is used was closed, freed or ended before: `E_CLOSED`. */
export class ClosedError extends SansqError {
  constructor(message: string) {
    super('E_CLOSED', message)
  }
}

/** The package is not ready, or called at a moment when it cannot be: `E_NOT_INITIALISED`, `E_REENTRANT`. */
export class StateError extends SansqError {}

/**
 * The Rust code panicked or ran out of memory: `E_PANIC`. All objects made before have gone with it, and throw this same error
 * from there on. New ones work: they live in a fresh instance of the module.
 */
export class SansqPanic extends SansqError {
  constructor(message: string, options?: ErrorOptions) {
    super('E_PANIC', message, options)
  }
}
