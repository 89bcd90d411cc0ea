// Which page is shown: the address decides, links and the back button change it without loading anything.

import { partsOf } from './config.js'
import { store } from './store.js'

/**
 * @typedef {{ page: string, names: string[], title: string }} Route
 */

/**
 * @param {string} path
 * @returns {Route}
 */
function routeOf(path) {
  const parts = partsOf(path) ?? ['?']
  const [page = 'topics', ...names] = parts
  if (page === 'topics' && names.length === 0) return { page: 'topics', names, title: 'Topics' }
  if (page === 'topics' && names.length === 1) return { page: 'topic', names, title: names[0] }
  if (page === 'topics' && names.length === 2) return { page: 'channel', names, title: `${names[0]} / ${names[1]}` }
  if (page === 'nodes' && names.length === 0) return { page: 'nodes', names, title: 'Nodes' }
  if (page === 'nodes' && names.length === 1) return { page: 'node', names, title: names[0] }
  if (page === 'counter' && names.length === 0) return { page: 'counter', names, title: 'Counter' }
  if (page === 'lookup' && names.length === 0) return { page: 'lookup', names, title: 'Lookup' }
  return { page: 'missing', names: [path], title: 'Not found' }
}

export const route = store(routeOf(location.pathname))

/** @param {string} address */
export function go(address) {
  history.pushState(null, '', address)
  show()
  scrollTo(0, 0)
  // Who reads with their ears hears where they are.
  document.querySelector('main')?.focus({ preventScroll: true })
}

function show() {
  const next = routeOf(location.pathname)
  const now = route.get()
  if (next.page !== now.page || next.names.join('/') !== now.names.join('/')) route.set(next)
}

/** @param {MouseEvent} event */
function follow(event) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const anchor = event.target instanceof Element ? event.target.closest('a') : null
  if (!anchor || anchor.target || anchor.hasAttribute('download') || anchor.origin !== location.origin) return
  if (anchor.hash || routeOf(anchor.pathname).page === 'missing') return
  event.preventDefault()
  go(anchor.href)
}

/** Begins to follow links. */
export function start() {
  document.addEventListener('click', follow)
  addEventListener('popstate', show)
}
