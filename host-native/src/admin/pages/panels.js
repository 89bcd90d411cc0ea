// Parts that more than one page has.

import { config, link } from './config.js'
import { html } from './preact.js'
import { icon } from './icons.js'
import { Chart } from './sparkline.js'
import * as format from './format.js'

/** @typedef {import('./types.js').History} History */

/**
 * The head of a page: where one is, what it is called, what can be done.
 * @param {{ path?: [string, string][], title: string, badges?: any, children?: any }} props
 */
export function Head({ path = [], title, badges, children }) {
  return html`<div class="head">
    <div class="names">
      ${path.length > 0 && html`<nav class="crumbs" aria-label="Path"><ol>${path.map(([name, href]) => html`<li><a href=${href}>${name}</a></li>`)}</ol></nav>`}
      <h1><span>${title}</span>${badges}</h1>
    </div>
    ${children && html`<div class="actions">${children}</div>`}
  </div>`
}

/**
 * A button that only administrators see.
 * @param {{ name: string, glyph: string, label: string, danger?: boolean, run: () => void }} props
 */
export function Action({ name, glyph, label, danger, run }) {
  if (!config.is_admin) return null
  return html`<button type="button" class="button ${danger ? 'danger' : ''}" data-action=${name} onClick=${run}>${icon(glyph)}${label}</button>`
}

/**
 * @param {{ kind?: string, title?: string, children?: any }} props
 */
export const Badge = ({ kind = '', title, children }) => html`<span class="badge ${kind}" title=${title}>${children}</span>`

export const Paused = () => html`<${Badge} kind="paused">paused</${Badge}>`

/**
 * Numbers in a row, with what they are.
 * @param {{ items: [string, string, string?][] }} props
 */
export const Tiles = ({ items }) =>
  html`<dl class="tiles">${items.map(([name, value, kind]) => html`<div class=${kind ?? ''}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`

/**
 * @param {{ title: string, id?: string, aside?: any, children?: any }} props
 */
export const Card = ({ title, id, aside, children }) =>
  html`<section class="card" id=${id} aria-label=${title}><header><h2>${title}</h2>${aside}</header>${children}</section>`

/**
 * Depth and rate of the last minutes.
 * @param {{ history: History | undefined, depth: number, rate: number | null | undefined, what?: string }} props
 */
export const Charts = ({ history, depth, rate, what = 'Waiting' }) => {
  const interval = history?.interval_ms ?? config.live_interval_ms
  return html`<div class="charts">
    <${Chart} title=${what} kind="depth" samples=${history?.depth} interval=${interval} show=${format.count} now=${format.count(depth)} />
    <${Chart} title="Messages in" kind="rate" samples=${history?.rate} interval=${interval} show=${format.rate} now=${format.rate(rate)} />
  </div>`
}

/**
 * @param {{ title: string, parts: import('./backlog.js').Part[], total: number, hrefOf: (part: import('./backlog.js').Part) => string | null }} props
 */
function Parts({ title, parts, total, hrefOf }) {
  const shown = parts.filter(({ depth }) => depth > 0).slice(0, 5)
  if (shown.length === 0) return null
  return html`<div class="parts"><h3>${title}</h3><ul>${shown.map((part) => {
    const href = hrefOf(part)
    return html`<li class=${part.bad ? 'bad' : ''}>
      <div><span class="name">${href ? html`<a href=${href}>${part.name}</a>` : part.name}</span><span class="note" title=${part.note}>${part.note}</span><b>${format.count(part.depth)}</b></div>
      <div class="share"><i style=${{ width: `${(100 * part.depth) / Math.max(1, total)}%` }}></i></div>
    </li>`
  })}</ul>${parts.filter(({ depth }) => depth > 0).length > shown.length && html`<p class="muted">and ${parts.filter(({ depth }) => depth > 0).length - shown.length} more</p>`}</div>`
}

/**
 * Where the backlog is.
 * @param {{ backlog: import('./backlog.js').Backlog, topic: string }} props
 */
export function BacklogCard({ backlog, topic }) {
  const { total, sentence, trend, bad, channels, nodes, clients, of } = backlog
  const held = clients.reduce((sum, { depth }) => sum + depth, 0)
  return html`<section class="card backlog" aria-label="Where the backlog is">
    <header><h2>Where the backlog is</h2></header>
    <p class="sentence ${total === 0 ? 'good' : bad ? 'bad' : ''}" data-backlog>${sentence}${trend && html` <span class="muted">${trend}</span>`}</p>
    <div class="columns">
      <${Parts} title="By channel" parts=${channels} total=${total} hrefOf=${(/** @type {any} */ part) => (part.channel ? link('topics', topic, part.channel) : null)} />
      <${Parts} title="By node" parts=${nodes} total=${total} hrefOf=${(/** @type {any} */ part) => link('nodes', part.node)} />
      <${Parts} title=${`In flight, by consumer${of && ` of ${of}`}`} parts=${clients} total=${held} hrefOf=${() => null} />
    </div>
  </section>`
}

/**
 * What is nothing is there, but does not shout.
 * @param {number | null | undefined} value
 * @param {(value: number | null | undefined) => string} [show]
 */
export const number = (value, show = format.count) => (value ? show(value) : html`<span class="zero">${show(value)}</span>`)

/**
 * What is in memory, and what is on disk.
 * @param {{ memory_depth: number, backend_depth: number }} row
 */
export const split = ({ memory_depth, backend_depth }) => {
  const text = `${format.count(memory_depth)} + ${format.count(backend_depth)}`
  return memory_depth + backend_depth > 0 ? text : html`<span class="zero">${text}</span>`
}

/** What a page shows until the first state has come. */
export const Loading = () => html`<p class="loading" role="status">Asking the cluster…</p>`

/**
 * Columns for latencies, one per quantile that is measured.
 * @param {import('./types.js').Latency | null | undefined} latency
 * @returns {import('./table.js').Column<any>[]}
 */
export function latencyColumns(latency) {
  const quantiles = (latency?.percentiles ?? []).map(({ quantile }) => quantile)
  const find = (/** @type {any} */ row, /** @type {number} */ quantile) =>
    row.e2e_processing_latency?.percentiles?.find((/** @type {any} */ one) => one.quantile === quantile)
  return quantiles.map((quantile) => ({
    key: `e2e${quantile}`,
    title: `${format.ordinal(quantile)} pct`,
    hint: 'From publish to finish: the average over nodes; the tooltip has the lowest and the highest',
    width: 92,
    drop: 4,
    value: (row) => find(row, quantile)?.average,
    cell: (row) => {
      const one = find(row, quantile)
      if (!one) return '–'
      const show = (/** @type {number} */ ns) => format.duration(ns / 1e6)
      return html`<span title=${`${show(one.min)} to ${show(one.max)}`}>${show(one.average)}</span>`
    },
  }))
}
