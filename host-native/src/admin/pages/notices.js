// What the page has to say: what became of an action, and what of the cluster does not answer.

import { config } from './config.js'
import { html } from './preact.js'
import { icon } from './icons.js'
import { warning } from './live.js'
import { store, useStore } from './store.js'
import * as format from './format.js'

/** @typedef {{ id: number, text: string, detail: string, bad: boolean }} Notice */

const notices = store(/** @type {Notice[]} */ ([]))
let last = 0

/** @param {number} id */
const dismiss = (id) => notices.set(notices.get().filter((notice) => notice.id !== id))

/**
 * Shows a line: for some seconds, or, if it is bad, until it is closed.
 * @param {string} text
 * @param {{ detail?: string, bad?: boolean }} [options]
 */
export function say(text, { detail = '', bad = false } = {}) {
  const id = (last += 1)
  notices.set([...notices.get().slice(-3), { id, text, detail, bad }])
  if (!bad) setTimeout(() => dismiss(id), 6000)
}

export function Notices() {
  const shown = useStore(notices)
  return html`<div class="notices" role="status">
    ${shown.map(
      ({ id, text, detail, bad }) => html`<div class="notice ${bad ? 'bad' : ''}" key=${id}>
        ${bad && icon('warning')}
        <div><p>${text}</p>${detail && html`<p class="detail">${detail}</p>`}</div>
        <button type="button" class="button quiet square" aria-label="Close" onClick=${() => dismiss(id)}>${icon('close')}</button>
      </div>`,
    )}
  </div>`
}

/**
 * What failed, by who did not answer: `{ "node-2:4151": "connection refused" }`, in the order it came.
 * @param {string} message
 */
export function failures(message) {
  /** @type {{ who: string, what: string, lookupd: boolean }[]} */
  const found = []
  for (const line of message.replace(/^(WARNING|UPSTREAM_ERROR): /, '').split(/\n|; /)) {
    const match = /(?:https?:\/\/)?((?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):\d+)/.exec(line)
    if (!match) continue
    const [, who] = match
    const said = line.slice(match.index + match[0].length).replace(/^[^\s"']*["']?\s*[:)-]*\s*/, '')
    if (!found.some((other) => other.who === who)) found.push({ who, what: reason(said || line), lookupd: config.lookupd.includes(who) })
  }
  return found
}

/** @param {string} text */
function reason(text) {
  if (/refused/i.test(text)) return 'connection refused'
  if (/time[d -]*out|deadline|elapsed/i.test(text)) return 'no answer in time'
  return text.trim().replace(/^no answer within/, 'nothing within')
}

/**
 * The same in lines, one for each who did not answer; as it came where nobody is named.
 * @param {string} message
 */
export const saidOf = (message) =>
  failures(message).map(({ who, what, lookupd }) => `${lookupd ? 'nsqlookupd' : 'nsqd'} ${who}: ${what}`).join('\n') || message.replace(/^WARNING: /, '')

/** A bar for what could not be asked; what is shown is without it. */
export function Warning() {
  const message = useStore(warning)
  if (!message) return null
  const found = failures(message)
  const nsqds = found.filter(({ lookupd }) => !lookupd)
  const lookupds = found.filter(({ lookupd }) => lookupd)
  const name = (/** @type {{ who: string, what: string }[]} */ list) => format.listing(list.map(({ who, what }) => `${who} (${what})`))
  return html`<div class="banner warn" role="alert">
    ${icon('warning')}
    <div>
      ${nsqds.length > 0 && html`<p><b>nsqd ${name(nsqds)}</b> ${nsqds.length === 1 ? 'does' : 'do'} not answer. What ${nsqds.length === 1 ? 'it has' : 'they have'} is not counted here.</p>`}
      ${lookupds.length > 0 && html`<p><b>nsqlookupd ${name(lookupds)}</b> ${lookupds.length === 1 ? 'does' : 'do'} not answer. Nodes that only ${lookupds.length === 1 ? 'it knows' : 'they know'} are missing here.</p>`}
      ${found.length === 0 && html`<p>${message.replace(/^WARNING: /, '')}</p>`}
      ${found.length > 0 && html`<details><summary>What was said</summary><pre>${message.replace(/^WARNING: /, '')}</pre></details>`}
    </div>
  </div>`
}

/**
 * What stands in the place of a page that could not be had.
 * @param {{ trouble: { message: string, status: number } }} props
 */
export function Trouble({ trouble }) {
  const found = failures(trouble.message)
  return html`<div class="banner bad" role="alert">
    ${icon('warning')}
    <div>
      <p><b>${trouble.status === 502 ? 'The cluster does not answer.' : 'This cannot be shown.'}</b> The page comes back by itself when it can.</p>
      ${found.length > 0
        ? html`<ul>${found.map(({ who, what, lookupd }) => html`<li><b>${lookupd ? 'nsqlookupd' : 'nsqd'} ${who}</b>: ${what}</li>`)}</ul>`
        : html`<pre>${trouble.message}</pre>`}
      ${found.length > 0 && html`<details><summary>What was said</summary><pre>${trouble.message}</pre></details>`}
    </div>
  </div>`
}
