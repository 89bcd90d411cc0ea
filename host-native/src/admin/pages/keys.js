// Keys. They do nothing while one writes, or while a dialog is open.

import { link } from './config.js'
import { html } from './preact.js'
import { Modal } from './dialogs.js'
import { paused } from './live.js'
import { go } from './router.js'
import { store, useStore } from './store.js'
import { tables } from './table.js'

/** Whether the list of keys is shown. */
export const help = store(false)

/** After `g`, the next key says where to. */
const PAGES = /** @type {Record<string, string>} */ ({ t: link(), n: link('nodes'), c: link('counter'), l: link('lookup') })
/** For so long, in ms. */
const PATIENCE = 1500

let goAt = 0

/** @param {EventTarget | null} target */
const writes = (target) => target instanceof HTMLElement && target.matches('input, select, textarea')

/** @param {number} by */
function move(by) {
  const focused = tables.all.find((table) => table.root()?.contains(document.activeElement))
  const table = focused ?? tables.all[0]
  table?.move(by)
}

/** @param {KeyboardEvent} event */
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
  if (document.querySelector('dialog[open]')) return
  const { key, target } = event
  if (writes(target)) {
    if (key === 'Escape' && target instanceof HTMLInputElement) leave(target)
    // From the filter straight to what it found.
    if (target instanceof HTMLInputElement && 'filter' in target.dataset && (key === 'ArrowDown' || key === 'Enter')) act(event, () => move(1))
    return
  }
  const page = performance.now() - goAt < PATIENCE ? PAGES[key] : undefined
  goAt = 0
  if (page !== undefined) return act(event, () => go(page))
  if (key === 'g') goAt = performance.now()
  else if (key === 'j' || key === 'ArrowDown') act(event, () => move(1))
  else if (key === 'k' || key === 'ArrowUp') act(event, () => move(-1))
  else if (key === 'ArrowRight' || key === 'ArrowLeft') twist(event, key === 'ArrowRight')
  else if (key === '/') act(event, () => /** @type {HTMLElement | null} */ (document.querySelector('[data-filter]'))?.focus())
  else if (key === 'p') paused.set(!paused.get())
  else if (key === 'u') up(event)
  else if (key === '?') help.set(true)
}

/**
 * Opens or closes the row that has the focus, where there is something in it.
 * @param {Event} event
 * @param {boolean} open
 */
function twist(event, open) {
  const button = document.activeElement?.closest('tr')?.querySelector(`button[aria-expanded="${!open}"]`)
  if (button instanceof HTMLElement) act(event, () => button.click())
}

/**
 * @param {Event} event
 * @param {() => void} does
 */
function act(event, does) {
  event.preventDefault()
  does()
}

/** @param {HTMLInputElement} input */
function leave(input) {
  if (input.value && 'filter' in input.dataset) {
    input.value = ''
    input.dispatchEvent(new Event('input', { bubbles: true }))
  } else input.blur()
}

/** @param {Event} event */
function up(event) {
  const crumbs = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('.crumbs a'))
  if (crumbs.length > 0) act(event, () => go(crumbs[crumbs.length - 1].href))
}

/** Begins to listen. */
export const start = () => document.addEventListener('keydown', press)

/** @type {[string, [string[], string][]][]} */
const KEYS = [
  ['Pages', [[['g', 't'], 'topics'], [['g', 'n'], 'nodes'], [['g', 'c'], 'counter'], [['g', 'l'], 'lookup'], [['u'], 'up: from a channel to its topic']]],
  ['Lists', [[['j'], 'next row (also ↓)'], [['k'], 'previous row (also ↑)'], [['Enter'], 'open it'], [['→'], 'show what is in it (← hides it)'], [['/'], 'filter'], [['Esc'], 'clear the filter, leave it']]],
  ['This page', [[['p'], 'pause, go on'], [['?'], 'this list'], [['Esc'], 'close what is open']]],
]

/** @param {{ version: string }} props */
export function Help({ version }) {
  if (!useStore(help)) return null
  return html`<${Modal} label="Keys" kind="help" close=${() => help.set(false)}>
    <h2>Keys</h2>
    <div class="keys">${KEYS.map(
      ([title, keys]) => html`<section><h3>${title}</h3><dl>${keys.map(
        ([names, does]) => html`<div><dt>${names.map((name) => html`<kbd>${name}</kbd> `)}</dt><dd>${does}</dd></div>`,
      )}</dl></section>`,
    )}</div>
    <div class="row end"><span class="muted push">nsqadmin of Sansq ${version}</span>
      <button type="button" class="button strong" onClick=${() => help.set(false)}>Close</button></div>
  </${Modal}>`
}
