// Dialogs: the question before something is lost. The browser keeps the focus in them, and closes them with Escape.

import { html, useEffect, useRef, useState } from './preact.js'
import { icon } from './icons.js'
import { route } from './router.js'
import { store, useStore } from './store.js'

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {any} body
 * @property {string} action what the button says; without `run`, it only closes
 * @property {boolean} [danger]
 * @property {string} [type] what has to be typed first
 * @property {() => Promise<void>} [run] the dialog stays open while it runs, and if it fails
 */

const question = store(/** @type {Question | null} */ (null))

// A question belongs to its page.
route.subscribe(() => question.set(null))

/** Asks, or, where there is nothing to be run, tells. @param {Question} asked */
export const ask = (asked) => question.set(asked)

/** The dialog of the question that is asked, if any. */
export function Dialogs() {
  const asked = useStore(question)
  return asked && html`<${Ask} key=${asked.title} asked=${asked} />`
}

/** @param {{ asked: Question }} props */
function Ask({ asked }) {
  const { title, body, action, danger, type, run } = asked
  const [typed, setTyped] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState('')
  /** @param {Event} event */
  const submit = async (event) => {
    event.preventDefault()
    if (busy || (type && typed !== type)) return
    setBusy(true)
    setError('')
    try {
      await run?.()
      question.set(null)
    } catch (problem) {
      setError(/** @type {Error} */ (problem).message)
      setBusy(false)
    }
  }
  return html`<${Modal} label=${title} kind="ask" close=${() => question.set(null)}>
    <form onSubmit=${submit}>
      <h2>${title}</h2>
      <div class="said">${body}</div>
      ${type &&
      html`<label class="field"><span>Type <b>${type}</b> to confirm</span>
        <input name="confirm" autocomplete="off" autocapitalize="off" spellcheck="false" value=${typed}
          onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} /></label>`}
      ${error && html`<div class="banner bad" role="alert">${icon('warning')}<p>${error}</p></div>`}
      <div class="row end">
        ${run && html`<button type="button" class="button" data-cancel onClick=${() => question.set(null)}>Cancel</button>`}
        <button type="submit" class="button strong ${danger ? 'danger' : ''}" data-confirm disabled=${busy || (!!type && typed !== type)}>
          ${busy ? 'Working…' : action}
        </button>
      </div>
    </form>
  </${Modal}>`
}

/**
 * @param {{ label: string, kind: string, close: () => void, children?: any }} props
 */
export function Modal({ label, kind, close, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null))
  useEffect(() => {
    const before = document.activeElement
    dialog.current?.showModal()
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true })
    }
  }, [])
  /** @param {any} event A click on what is around the dialog */
  const outside = (event) => {
    if (event.target === dialog.current) close()
  }
  /** @param {Event} event */
  const cancel = (event) => {
    event.preventDefault()
    close()
  }
  return html`<dialog ref=${dialog} class=${kind} aria-label=${label} onCancel=${cancel} onPointerDown=${outside}>
    <div class="inner">${children}</div>
  </dialog>`
}
