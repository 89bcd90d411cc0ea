// The drawer that shows the first messages of a channel or topic. They are only looked at: none is delivered.

import { html, useEffect, useState } from './preact.js'
import { Modal } from './dialogs.js'
import { icon } from './icons.js'
import { Badge } from './panels.js'
import * as api from './api.js'
import * as format from './format.js'

/** @typedef {import('./types.js').Peek} Peek */
/** @typedef {import('./types.js').PeekedMessage} PeekedMessage */

const LIMITS = [20, 50, 100]
const PLACES = { queued: 'queued', in_flight: 'in flight', deferred: 'deferred' }
/** Bytes of a binary body that are shown. */
const HEX_BYTES = 1024

/**
 * @param {{ topic: string, channel?: string, close: () => void }} props
 */
export function PeekDrawer({ topic, channel, close }) {
  const [limit, setLimit] = useState(LIMITS[0])
  const [count, again] = useState(0)
  const [{ peek, error }, setAnswer] = useState(/** @type {{ peek: Peek | null, error: string }} */ ({ peek: null, error: '' }))
  useEffect(() => {
    let stopped = false
    api
      .read(['topics', topic, ...(channel ? [channel] : []), 'peek'], { limit: String(limit) })
      .then((peek) => !stopped && setAnswer({ peek, error: '' }))
      .catch((problem) => !stopped && setAnswer({ peek: null, error: problem.message }))
    return () => {
      stopped = true
    }
  }, [topic, channel, limit, count])
  const what = channel ? `channel ${channel}` : `topic ${topic}`
  return html`<${Modal} label=${`Messages of ${what}`} kind="drawer" close=${close}>
    <header>
      <h2>Messages of ${what}</h2>
      <label class="interval"><span class="hidden">How many of each node</span>
        <select name="limit" onChange=${(/** @type {any} */ event) => setLimit(Number(event.target.value))}>
          ${LIMITS.map((one) => html`<option value=${one} selected=${one === limit}>first ${one}</option>`)}
        </select></label>
      <button type="button" class="button square" aria-label="Look again" title="Look again" onClick=${() => again(count + 1)}>${icon('again')}</button>
      <button type="button" class="button square" aria-label="Close" onClick=${close}>${icon('close')}</button>
    </header>
    <p class="muted">${channel ? 'Nothing is consumed by looking.' : 'What no channel has got yet. Nothing is consumed by looking.'} Taken at one moment, not live.</p>
    ${error && html`<div class="banner bad" role="alert">${icon('warning')}<p>${error}</p></div>`}
    ${!peek && !error && html`<p class="loading" role="status">Looking…</p>`}
    ${peek && html`<${Where} peek=${peek} />${looked(peek) && html`<${Messages} messages=${peek.messages ?? []} />`}`}
  </${Modal}>`
}

/** Whether any of them could be looked into: that there is no message is known only then. @param {Peek} peek */
const looked = ({ nodes }) => !nodes?.length || nodes.some(({ supported, error }) => supported && !error)

/** How much there is, and where one cannot look. @param {{ peek: Peek }} props */
function Where({ peek }) {
  const nodes = peek.nodes ?? []
  const foreign = nodes.filter(({ supported, error }) => !supported && !error)
  const failed = nodes.filter(({ error }) => error)
  const waiting = nodes.filter(({ in_memory = 0, on_disk = 0 }) => in_memory + on_disk > 0)
  const told = waiting.map(({ node, in_memory = 0, on_disk = 0 }) => `${format.count(in_memory + on_disk)} on ${node}${on_disk > 0 ? ` (${format.count(on_disk)} on disk)` : ''}`)
  return html`
    ${foreign.length > 0 && html`<p class="caution">${format.listing(foreign.map(({ node }) => node))} cannot be looked into: the nsqd there is not Sansq's.</p>`}
    ${failed.map(({ node, error = '' }) => html`<p class="caution">${node}${error.startsWith('does not ') ? ' ' : ': '}${error}</p>`)}
    ${told.length > 0 && html`<p class="muted">Waiting: ${format.listing(told)}. Here are the first of them, and those in flight and deferred.</p>`}`
}

/** @param {{ messages: PeekedMessage[] }} props */
function Messages({ messages }) {
  if (messages.length === 0) return html`<p class="none">There is no message.</p>`
  return html`<ol class="messages">${messages.map((message) => html`<li key=${message.node + message.id}><${Message} message=${message} /></li>`)}</ol>`
}

/** @param {number} ns */
const fromNow = (ns) => ns / 1e6 - Date.now()

/** @param {PeekedMessage} message */
function fate({ place, due, deadline, client }) {
  if (place === 'deferred' && due) return `due ${fromNow(due) > 0 ? `in ${format.duration(fromNow(due))}` : 'now'}`
  if (place !== 'in_flight') return ''
  return [client ? `with ${client}` : '', deadline ? `${format.duration(Math.max(0, fromNow(deadline)))} left` : ''].filter(Boolean).join(', ')
}

/** @param {{ message: PeekedMessage }} props */
function Message({ message }) {
  const [raw, setRaw] = useState(false)
  const { place, attempts, timestamp, id, node, body, encoding, body_bytes, truncated } = message
  const pretty = encoding === 'utf-8' && !truncated ? prettyJson(body) : null
  const text = encoding === 'base64' ? hex(body) : pretty !== null && !raw ? pretty : body
  return html`<article>
    <div class="line">
      <${Badge} kind=${place}>${PLACES[place] ?? place}</${Badge}>
      <span title=${new Date(timestamp / 1e6).toISOString()}>${format.duration(Math.max(0, -fromNow(timestamp)))} old</span>
      <span class=${attempts > 1 ? 'alarm' : ''}>${attempts === 0 ? 'never delivered' : format.many(attempts, 'attempt')}</span>
      <span>${format.bytes(body_bytes)}</span>
      <span class="muted">${fate(message)}</span>
      <span class="muted push">${node}</span>
    </div>
    <pre tabindex="0" aria-label="Body">${text || html`<span class="muted">(empty)</span>`}</pre>
    <div class="line small">
      <code>${id}</code>
      ${encoding === 'base64' && html`<span class="muted">binary</span>`}
      ${truncated && html`<span class="muted">the beginning; ${format.bytes(body_bytes)} in all</span>`}
      ${pretty !== null && pretty !== body && html`<button type="button" class="plain-link" onClick=${() => setRaw(!raw)}>${raw ? 'as JSON' : 'as it is'}</button>`}
      <button type="button" class="plain-link push" onClick=${() => navigator.clipboard?.writeText(text)}>Copy</button>
    </div>
  </article>`
}

/** @param {string} body */
function prettyJson(body) {
  // A number is JSON, and shows as it is.
  if (!/^\s*[[{]/.test(body)) return null
  try {
    // Numbers beyond 2^53 would come out as others.
    if (/[^"\w.]-?\d{16,}/.test(body)) return null
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return null
  }
}

/**
 * Sixteen bytes a line: where, in hexadecimal, and as text.
 * @param {string} base64
 */
export function hex(base64) {
  const bytes = Uint8Array.from(atob(base64).slice(0, HEX_BYTES), (letter) => letter.charCodeAt(0))
  const lines = []
  for (let at = 0; at < bytes.length; at += 16) {
    const line = [...bytes.slice(at, at + 16)]
    const digits = line.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = line.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '·')).join('')
    lines.push(`${at.toString(16).padStart(4, '0')}  ${digits.padEnd(47)}  ${text}`)
  }
  return lines.join('\n')
}
