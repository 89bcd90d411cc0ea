// Tables: sorted by any column, filtered, walked by keyboard. Only rows near the window are in the document, so that a table
// with thousands of them is as quick as a short one. Rows are of one height, and columns of fixed widths, so nothing moves when
// numbers change; while a pointer is over the rows or the focus in them, they keep their order, too.

import { Component, html, useEffect, useLayoutEffect, useMemo, useRef, useState } from './preact.js'
import { kept, PHONE, store, useMedia, useStore } from './store.js'
import { icon } from './icons.js'
import * as format from './format.js'

/**
 * @template R
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {(row: R) => any} cell
 * @property {(row: R) => string | number | boolean | null | undefined} [value] what it is sorted by; without, it is not
 * @property {number} [width] px; without, what is left
 * @property {boolean} [text] to the left, and sorted upwards first
 * @property {number} [drop] left out where there is no room for all: those with the highest number first. Without, never
 * @property {string} [hint]
 * @property {boolean} [hidden]
 */

/**
 * @template R
 * @typedef {object} TableProps
 * @property {string} name under which its order is kept
 * @property {string} label
 * @property {R[]} rows
 * @property {Column<R>[]} columns
 * @property {(row: R) => string} rowKey
 * @property {string} [sort] column and direction at first: `depth-`
 * @property {(row: R) => string} [text] what the filter looks in; without, there is none
 * @property {string} [noun]
 * @property {any} [none] shown instead of an empty table
 * @property {R} [total] a last row that is always the last
 * @property {(row: R) => string} [rowClass]
 * @property {any} [tools]
 * @property {boolean} [inOrder] the rows come in their order, and stay in it
 */

const ROW = 38
const PHONE_ROW = 46
/** Tables up to this many rows are in the document as a whole. */
const WHOLE = 120
/** Rows beyond the window's edges, above and below. */
const MARGIN = 15

/** The table that keys move in: the first on the page. */
export const tables = { all: /** @type {{ move: (by: number) => void, root: () => Element | null }[]} */ ([]) }

/**
 * @template R
 * @param {TableProps<R>} props
 */
export function Table(props) {
  const { name, rows, columns, rowKey, text, noun = 'row', none, total, tools } = props
  const phone = useMedia(PHONE)
  const order = useMemo(() => kept(`sort.${name}`, props.sort ?? ''), [name])
  const sort = useStore(order)
  const filter = useMemo(() => store(''), [name])
  const sought = useStore(filter)
  const room = useRoom()
  const shown = useMemo(() => fitting(columns, room), [columns, room])
  const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null))
  const held = useRef(false)
  const before = useRef(/** @type {Map<string, number>} */ (new Map()))

  const sorted = useMemo(() => {
    const words = sought.toLowerCase().split(/\s+/).filter(Boolean)
    const found = text && words.length ? rows.filter((row) => words.every((word) => text(row).toLowerCase().includes(word))) : rows
    return props.inOrder ? found : inOrder(found, columns, sort)
  }, [rows, columns, sort, sought])
  // A click on a heading moves rows at once: the pointer is not over them then.
  const list = useMemo(() => (held.current ? asBefore(sorted, rowKey, before.current) : sorted), [sorted])
  useLayoutEffect(() => {
    before.current = new Map(list.map((row, at) => [rowKey(row), at]))
  }, [list])

  const height = phone ? PHONE_ROW : ROW
  const [from, to] = useWindow(body, list.length, height)
  useKeys(body, list.length, height, from, to)

  const head = shown.map((column) => {
    const direction = sort === `${column.key}-` ? 'descending' : sort === `${column.key}+` ? 'ascending' : 'none'
    const next = direction === 'none' ? (column.text ? '+' : '-') : direction === 'ascending' ? '-' : '+'
    const label = html`<span class=${column.title ? '' : 'hidden'}>${column.title || 'Actions'}</span>${direction !== 'none' && icon(direction === 'ascending' ? 'up' : 'down', 12)}`
    return html`<th scope="col" class=${column.text ? 'text' : ''} aria-sort=${direction} title=${column.hint}>
      ${column.value && !props.inOrder ? html`<button type="button" onClick=${() => order.set(column.key + next)}>${label}</button>` : label}
    </th>`
  })
  const cells = (/** @type {R} */ row) =>
    shown.map(({ text, cell }) => (text ? html`<td class="text"><div>${cell(row)}</div></td>` : html`<td>${cell(row)}</td>`))

  return html`<div class="table">
    ${(text || tools) &&
    html`<div class="bar">
      ${text &&
      html`<label class="filter">${icon('search')}<span class="hidden">Filter ${noun}s</span>
        <input type="search" data-filter placeholder="Filter" autocomplete="off" spellcheck="false" value=${sought}
          onInput=${(/** @type {any} */ event) => filter.set(event.target.value)} /><kbd>/</kbd></label>
        <span class="muted tally">${sought ? `${format.count(sorted.length)} of ${format.many(rows.length, noun)}` : format.many(rows.length, noun)}</span>`}
      ${tools}
    </div>`}
    ${list.length === 0
      ? html`<div class="none">${sought ? `No ${noun} matches “${sought}”.` : none ?? `There is no ${noun}.`}</div>`
      : html`<div class="scroll">
          <table aria-label=${props.label} aria-rowcount=${list.length + 1} style=${{ minWidth: `${widthOf(shown, LEAST)}px` }}
            >
            <colgroup>${shown.map(({ width }) => html`<col style=${width ? { width: `${width}px` } : {}} />`)}</colgroup>
            <thead><tr aria-rowindex="1">${head}</tr></thead>
            <tbody ref=${body} style=${{ '--row': `${height}px` }}
              onPointerEnter=${() => (held.current = true)} onPointerLeave=${() => (held.current = false)}
              onfocusin=${() => (held.current = true)} onfocusout=${() => (held.current = false)}>
              ${from > 0 && html`<tr class="space" aria-hidden="true" key="above" style=${{ height: `${from * height}px` }}></tr>`}
              ${list.slice(from, to).map(
                (row, at) => html`<${Row} key=${rowKey(row)} row=${row} columns=${shown} cells=${cells} index=${from + at}
                  kind=${props.rowClass?.(row) ?? ''} />`,
              )}
              ${to < list.length && html`<tr class="space" aria-hidden="true" key="below" style=${{ height: `${(list.length - to) * height}px` }}></tr>`}
            </tbody>
            ${total && html`<tfoot style=${{ '--row': `${height}px` }}><tr>${cells(total)}</tr></tfoot>`}
          </table>
        </div>`}
  </div>`
}

/** What a column without a width should have, and has at least, in px. */
const REST = 180
const LEAST = 110

/**
 * @param {Column<any>[]} columns
 * @param {number} rest
 */
const widthOf = (columns, rest) => columns.reduce((sum, { width = rest }) => sum + width, 0)

/**
 * The columns that there is room for.
 * @template R
 * @param {Column<R>[]} columns
 * @param {number} room
 */
function fitting(columns, room) {
  let shown = columns.filter(({ hidden }) => !hidden)
  while (widthOf(shown, REST) > room) {
    const most = Math.max(0, ...shown.map(({ drop = 0 }) => drop))
    if (most === 0) break
    const last = shown.findLastIndex(({ drop }) => drop === most)
    shown = shown.filter((_, at) => at !== last)
  }
  return shown
}

/** The width that a table has, in px: known before it is drawn, so that it is drawn once. */
function useRoom() {
  const measure = () => Math.min(document.documentElement.clientWidth, 1480) - 34
  const [room, setRoom] = useState(measure)
  useEffect(() => {
    const look = () => setRoom(measure())
    addEventListener('resize', look)
    return () => removeEventListener('resize', look)
  }, [])
  return room
}

/** A row is drawn again when its data is another, and not because others' is. */
class Row extends Component {
  /** @param {any} next */
  shouldComponentUpdate(next) {
    const { row, columns, kind, index } = /** @type {any} */ (this.props)
    return next.row !== row || next.columns !== columns || next.kind !== kind || next.index !== index
  }

  render() {
    const { row, cells, kind, index } = /** @type {any} */ (this.props)
    return html`<tr class=${kind} aria-rowindex=${index + 2} data-index=${index}>${cells(row)}</tr>`
  }
}

/**
 * @template R
 * @param {R[]} rows
 * @param {Column<R>[]} columns
 * @param {string} sort
 */
function inOrder(rows, columns, sort) {
  const column = columns.find(({ key }) => key === sort.slice(0, -1))
  const value = column?.value
  if (!value) return rows
  const sign = sort.endsWith('-') ? -1 : 1
  const keyed = rows.map((row) => ({ row, value: value(row) }))
  keyed.sort((a, b) => {
    // What is not known comes last, either way.
    if (a.value == null || b.value == null) return Number(a.value == null) - Number(b.value == null)
    if (typeof a.value === 'string' && typeof b.value === 'string') return sign * collator.compare(a.value, b.value)
    return sign * (Number(a.value) - Number(b.value))
  })
  return keyed.map(({ row }) => row)
}

const collator = new Intl.Collator('en', { numeric: true })

/**
 * The same rows in the order they had; new ones last.
 * @template R
 * @param {R[]} rows
 * @param {(row: R) => string} rowKey
 * @param {Map<string, number>} before
 */
function asBefore(rows, rowKey, before) {
  const place = (/** @type {R} */ row) => before.get(rowKey(row)) ?? Infinity
  return [...rows].sort((a, b) => {
    const [one, other] = [place(a), place(b)]
    return one === other ? 0 : one - other
  })
}

/**
 * The range of rows that are near the window.
 * @param {{ current: Element | null }} body
 * @param {number} length
 * @param {number} height
 * @returns {[number, number]}
 */
function useWindow(body, length, height) {
  const [first, setFirst] = useState(0)
  const room = Math.ceil(innerHeight / height) + 2 * MARGIN
  useEffect(() => {
    if (length <= WHOLE) return
    let asked = 0
    const look = () => {
      asked = 0
      const above = -(body.current?.getBoundingClientRect().top ?? 0) / height
      // In steps, so that most of scrolling draws nothing.
      setFirst(Math.max(0, Math.floor((above - MARGIN) / 5) * 5))
    }
    const ask = () => (asked ||= requestAnimationFrame(look))
    addEventListener('scroll', ask, { passive: true })
    addEventListener('resize', ask)
    look()
    return () => {
      cancelAnimationFrame(asked)
      removeEventListener('scroll', ask)
      removeEventListener('resize', ask)
    }
  }, [length > WHOLE, height])
  if (length <= WHOLE) return [0, length]
  const from = Math.min(first, Math.max(0, length - room))
  return [from, Math.min(length, from + room)]
}

/**
 * Lets keys move the focus from row to row, to those that are not in the document yet, too.
 * @param {{ current: HTMLElement | null }} body
 * @param {number} length
 * @param {number} height
 * @param {number} from
 * @param {number} to
 */
function useKeys(body, length, height, from, to) {
  const wanted = useRef(/** @type {number | null} */ (null))
  const size = useRef(length)
  size.current = length
  const focus = () => {
    const row = body.current?.querySelector(`tr[data-index="${wanted.current}"]`)
    const target = /** @type {HTMLElement | null} */ (row?.querySelector('a') ?? row?.querySelector('button, [tabindex]') ?? null)
    if (!row || !target) return
    wanted.current = null
    target.focus({ preventScroll: true })
    row.scrollIntoView({ block: 'nearest' })
  }
  useEffect(() => {
    const table = {
      root: () => body.current,
      move: (/** @type {number} */ by) => {
        const active = document.activeElement?.closest('tr[data-index]')
        const now = active && body.current?.contains(active) ? Number(active.getAttribute('data-index')) : null
        const next = now === null ? (by > 0 ? 0 : size.current - 1) : now + by
        wanted.current = Math.max(0, Math.min(size.current - 1, next))
        focus()
        if (wanted.current !== null && body.current) {
          const top = body.current.getBoundingClientRect().top + scrollY + wanted.current * height
          scrollTo({ top: top - innerHeight / 2 })
        }
      },
    }
    tables.all.push(table)
    return () => {
      tables.all = tables.all.filter((other) => other !== table)
    }
  }, [height])
  useEffect(() => {
    if (wanted.current !== null) focus()
  }, [from, to])
}
