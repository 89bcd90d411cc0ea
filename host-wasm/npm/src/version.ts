import { guard, rawVersion } from './raw.js'

/** The version of the package. */
export function version(): string {
  return guard(rawVersion)
}
