// Values that more than one part of the page shows.

import { useEffect, useState } from './preact.js'

/**
 * @template T
 * @typedef {{ get: () => T, set: (value: T) => void, subscribe: (listener: () => void) => () => void }} Store
 */

/**
 * @template T
 * @param {T} value
 * @returns {Store<T>}
 */
export function store(value) {
  /** @type {Set<() => void>} */
  const listeners = new Set()
  return {
    get: () => value,
    set(next) {
      if (next === value) return
      value = next
      for (const listener of [...listeners]) listener()
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/**
 * The value of a store; the component is rendered again when it changes.
 * @template T
 * @param {Store<T>} source
 * @returns {T}
 */
export function useStore(source) {
  const [, redraw] = useState(0)
  useEffect(() => source.subscribe(() => redraw((count) => count + 1)), [source])
  return source.get()
}

/**
 * A store whose value outlives the page, where the browser keeps anything.
 * @param {string} key
 * @param {string} initial
 * @returns {Store<string>}
 */
export function kept(key, initial) {
  const inner = store(read(key) ?? initial)
  return {
    ...inner,
    set(value) {
      write(key, value)
      inner.set(value)
    },
  }
}

/** @param {string} key */
function read(key) {
  try {
    return localStorage.getItem(`nsqadmin.${key}`)
  } catch {
    return null
  }
}

/**
 * @param {string} key
 * @param {string} value
 */
function write(key, value) {
  try {
    localStorage.setItem(`nsqadmin.${key}`, value)
  } catch {
    // A browser that keeps nothing starts with the default next time.
  }
}

/**
 * Whether a media query holds.
 * @param {string} query
 */
export function useMedia(query) {
  const [list] = useState(() => matchMedia(query))
  const [matches, setMatches] = useState(list.matches)
  useEffect(() => {
    const listener = () => setMatches(list.matches)
    list.addEventListener('change', listener)
    return () => list.removeEventListener('change', listener)
  }, [list])
  return matches
}

export const PHONE = '(max-width: 720px)'
