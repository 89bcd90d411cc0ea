// Small pictures of the last minutes. The numbers beside them say the same in words, so they are decoration to a screen reader.

import { html, useState } from './preact.js'
import * as format from './format.js'

/** @typedef {(number | null)[]} Samples */

const WIDTH = 84
const HEIGHT = 22

/**
 * The outline of samples in a box of this size, in pieces where some are missing; `top` is the value at the upper edge.
 * @param {Samples} samples
 * @param {number} width
 * @param {number} height
 * @param {number} top
 */
function paths(samples, width, height, top) {
  const step = width / Math.max(1, samples.length - 1)
  let line = ''
  let area = ''
  let from = -1
  for (let at = 0; at <= samples.length; at += 1) {
    const value = samples[at]
    if (value == null) {
      if (from >= 0) area += `L${round((at - 1) * step)} ${height}Z`
      from = -1
      continue
    }
    const point = `${round(at * step)} ${round(height - (value / top) * height)}`
    area += from < 0 ? `M${round(at * step)} ${height}L${point}` : `L${point}`
    line += `${from < 0 ? 'M' : 'L'}${point}`
    if (from < 0) from = at
  }
  return { line, area }
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10

/** @param {Samples} samples */
const highest = (samples) => samples.reduce((/** @type {number} */ most, value) => Math.max(most, value ?? 0), 0)

/**
 * A line of text high. Samples always end at the right, so that a short history does not look like a long one.
 * @param {{ samples: Samples | undefined, kind: string, full?: number }} props
 */
export function Sparkline({ samples, kind, full = 120 }) {
  if (!samples || samples.length < 2) return html`<svg class="spark" width=${WIDTH} height=${HEIGHT} aria-hidden="true"></svg>`
  const width = WIDTH * Math.min(1, samples.length / full)
  const { line, area } = paths(samples, width, HEIGHT - 3, highest(samples) || 1)
  return html`<svg class="spark ${kind}" width=${WIDTH} height=${HEIGHT} aria-hidden="true">
    <g transform="translate(${round(WIDTH - width)} 1.5)"><path class="area" d=${area} /><path class="line" d=${line} /></g>
  </svg>`
}

const CHART_HEIGHT = 70

/**
 * A chart as wide as there is room, with its scale, and the value under the pointer.
 * @param {{ title: string, samples: Samples | undefined, interval: number, kind: string, show: (value: number | null) => string, now: string }} props
 */
export function Chart({ title, samples = [], interval, kind, show, now }) {
  const [at, setAt] = useState(/** @type {number | null} */ (null))
  const top = highest(samples) || 1
  const { line, area } = paths(samples, 100, CHART_HEIGHT, top)
  const shown = at === null || at >= samples.length ? null : at
  const ago = (/** @type {number} */ index) => (samples.length - 1 - index) * interval
  /** @param {PointerEvent} event */
  const point = (event) => {
    const box = /** @type {Element} */ (event.currentTarget).getBoundingClientRect()
    setAt(Math.round(((event.clientX - box.left) / box.width) * (samples.length - 1)))
  }
  return html`<figure class="chart ${kind}">
    <figcaption>
      <span>${title}</span>
      <b>${shown === null ? now : show(samples[shown])}</b>
      <span class="muted when">${shown === null ? 'now' : ago(shown) === 0 ? 'now' : `${format.duration(ago(shown))} ago`}</span>
    </figcaption>
    <div class="plot" onPointerMove=${point} onPointerLeave=${() => setAt(null)}>
      <svg viewBox="0 0 100 ${CHART_HEIGHT}" preserveAspectRatio="none" height=${CHART_HEIGHT} aria-hidden="true">
        <path class="area" d=${area} /><path class="line" d=${line} />
      </svg>
      ${samples.length > 1 && html`<span class="top">${show(highest(samples))}</span>`}
      ${samples.length < 2 && html`<span class="empty">The history begins now</span>`}
      ${shown !== null && samples.length > 1 && html`<i style=${{ left: `${(100 * shown) / (samples.length - 1)}%` }}></i>`}
    </div>
    <div class="axis"><span>${samples.length > 1 ? `${format.duration(ago(0))} ago` : ''}</span><span>now</span></div>
  </figure>`
}
