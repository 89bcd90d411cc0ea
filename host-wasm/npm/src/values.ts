// Numbers as callers give them.

import { ArgumentError } from './errors.js'

/** A seed as 64 bits. */
export function seedOf(seed: number | bigint): bigint {
  if (typeof seed === 'number' && !Number.isSafeInteger(seed)) throw new ArgumentError('seed must be a whole number')
  return BigInt.asUintN(64, BigInt(seed))
}

/** A time, or a length of it. */
export function milliseconds(ms: number): number {
  if (!Number.isFinite(ms) || ms < 0) {
    throw new ArgumentError(`${String(ms)} is not a time: it must be a finite number of milliseconds, 0 or more`)
  }
  return ms
}
