import { module, rawVersion } from './raw.js'

/** The version of the package. */
export function version(): string {
  return module.guard(rawVersion)
}
