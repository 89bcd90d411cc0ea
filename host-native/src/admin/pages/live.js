// The stream of states behind the page that is shown. There is one at a time, and none while the page cannot be seen or is
// paused: a browser has six connections for all its tabs, and the daemon asks the cluster less often when nobody looks.

import { config, link } from './config.js'
import { useEffect, useState } from './preact.js'
import { store, useStore } from './store.js'

/** @typedef {'connecting' | 'live' | 'trouble' | 'reconnecting'} Status */
/** @typedef {{ at?: number, message: string, status: number }} Trouble */

/** How the stream is. */
export const status = store(/** @type {Status} */ ('connecting'))
/** Whether somebody has stopped it. */
export const paused = store(false)
/** When the state that is shown was taken, in ms since 1970; 0 before the first. */
export const shownAt = store(0)
/** What of the cluster could not be asked for that state; empty if all could. */
export const warning = store('')

/** Without a word for so long (ms) a connection is taken for dead. */
const SILENCE = Math.max(15_000, 6 * (config.live_interval_ms || 2000))
/** How long after it is hidden a page stops listening, in ms. */
const HIDDEN = 5_000
/** How long the first state may take before the page says that it connects, in ms. */
const PATIENCE = 500
/** Between tries to connect, in ms: ever longer. */
const RETRY = [500, 1000, 2000, 5000]

/**
 * Listens until the function that is returned is called.
 * @param {string} query
 * @param {(event: any) => void} onState
 * @param {(trouble: Trouble) => void} onTrouble
 */
function listen(query, onState, onTrouble) {
  /** @type {EventSource | null} */
  let source = null
  let tries = 0
  let timer = 0
  // From one page to the next there is nothing to be said, if the state comes at once.
  const slow = setTimeout(() => status.set('connecting'), PATIENCE)

  /** @param {number} ms */
  const retryIn = (ms) => {
    clearTimeout(timer)
    timer = setTimeout(connect, ms)
  }
  const fail = () => {
    clearTimeout(slow)
    source?.close()
    source = null
    status.set('reconnecting')
    retryIn(RETRY[Math.min(tries, RETRY.length - 1)])
    tries += 1
  }
  /** @param {string} data */
  const heard = (data) => {
    tries = 0
    clearTimeout(slow)
    clearTimeout(timer)
    timer = setTimeout(fail, SILENCE)
    return JSON.parse(data)
  }
  function connect() {
    source?.close()
    source = new EventSource(`${link('api', 'live')}?${query}`)
    source.addEventListener('state', ({ data }) => {
      const event = heard(data)
      status.set('live')
      shownAt.set(event.at)
      warning.set(event.message ?? '')
      onState(event)
    })
    source.addEventListener('trouble', ({ data }) => {
      const trouble = heard(data)
      status.set(trouble.status === 404 ? 'live' : 'trouble')
      shownAt.set(trouble.status === 404 ? trouble.at ?? 0 : shownAt.get())
      warning.set('')
      onTrouble(trouble)
    })
    // By itself it would try for ever in the same rhythm, or not at all.
    source.onerror = fail
    clearTimeout(timer)
    timer = setTimeout(fail, SILENCE)
  }
  const stop = () => {
    clearTimeout(timer)
    source?.close()
    source = null
  }
  let hidden = 0
  const attend = () => {
    clearTimeout(hidden)
    if (paused.get()) stop()
    else if (document.hidden) hidden = setTimeout(stop, HIDDEN)
    else if (!source) connect()
  }
  document.addEventListener('visibilitychange', attend)
  const unsubscribe = paused.subscribe(attend)
  attend()
  return () => {
    document.removeEventListener('visibilitychange', attend)
    unsubscribe()
    clearTimeout(hidden)
    clearTimeout(slow)
    stop()
  }
}

/**
 * What the stream of a view has said last. `fold` makes what is kept of an event and what was kept before.
 * @template T
 * @template [E=T]
 * @param {Record<string, string>} view
 * @param {(before: T | null, event: E) => T} [fold]
 * @returns {{ data: T | null, trouble: Trouble | null }}
 */
export function useLive(view, fold) {
  const query = new URLSearchParams(view).toString()
  const [heard, setHeard] = useState(/** @type {{ query: string, data: T | null, trouble: Trouble | null }} */ ({ query, data: null, trouble: null }))
  useEffect(() => {
    /** @type {T | null} */
    let data = null
    shownAt.set(0)
    return listen(
      query,
      (event) => {
        data = fold ? fold(data, event) : event
        setHeard({ query, data, trouble: null })
      },
      (trouble) => setHeard({ query, data, trouble }),
    )
  }, [query])
  // The state of another topic is not shown under this one's name, not for a moment.
  return heard.query === query ? heard : { data: null, trouble: null }
}

/** What the indicator says. */
export function useStatus() {
  return { paused: useStore(paused), status: useStore(status), at: useStore(shownAt) }
}
