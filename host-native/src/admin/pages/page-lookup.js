// Page: the nsqlookupds, what they still know and nobody has, and making topics and channels.

import { config, link } from './config.js'
import { html, useEffect, useMemo, useState } from './preact.js'
import { create, deleteChannel, deleteTopic, onAction } from './actions.js'
import { icon } from './icons.js'
import { paused, status } from './live.js'
import { Trouble } from './notices.js'
import { Card, Head, Loading } from './panels.js'
import { Table } from './table.js'
import * as api from './api.js'
import * as format from './format.js'

/** @typedef {{ topic: string, channels: string[] }} Inactive */

/** What NSQ takes for the name of a topic or channel. */
const NAME = /^[.a-zA-Z0-9_-]+(#ephemeral)?$/

/**
 * What is wrong with a name; empty if nothing is.
 * @param {string} name
 * @param {string} what
 */
export function wrongWith(name, what) {
  if (name === '') return `A ${what} needs a name.`
  if (name.length > 64) return `64 characters at most, with “#ephemeral”; this has ${name.length}.`
  if (!NAME.test(name)) return 'Letters, digits, “.”, “_” and “-” only; “#ephemeral” may end it.'
  return ''
}

/** An empty topic or channel that only nsqlookupds know, for the question before it is deleted. */
const gone = (/** @type {string} */ topic) => /** @type {any} */ ({ topic_name: topic, node: '*', depth: 0, nodes: [], channels: [] })

/**
 * @param {string} topic
 * @param {string} channel
 */
const goneChannel = (topic, channel) =>
  /** @type {any} */ ({ topic_name: topic, channel_name: channel, node: '*', depth: 0, in_flight_count: 0, deferred_count: 0, client_count: 0, nodes: [], clients: [] })

/** @returns {import('./table.js').Column<Inactive>[]} */
const columns = () => [
  { key: 'topic', title: 'Topic', text: true, value: (row) => row.topic, cell: (row) => html`<a class="name" href=${link('topics', row.topic)}>${row.topic}</a>` },
  {
    key: 'channels', title: 'Channels', text: true, value: (row) => row.channels.length,
    cell: (row) => html`<span class="chips">${row.channels.map(
      (channel) => html`<span class="chip">${channel}${config.is_admin &&
        html`<button type="button" data-action="delete-channel" aria-label=${`Delete channel ${channel} of ${row.topic}`} onClick=${() => deleteChannel(goneChannel(row.topic, channel))}>${icon('close', 12)}</button>`}</span>`,
    )}${row.channels.length === 0 && html`<span class="zero">none</span>`}</span>`,
  },
  {
    key: 'delete', title: '', width: 60, hidden: !config.is_admin,
    cell: (row) => html`<button type="button" class="button quiet square small danger" data-action="delete-topic" title="Delete this topic"
      aria-label=${`Delete topic ${row.topic}`} onClick=${() => deleteTopic(gone(row.topic))}>${icon('trash')}</button>`,
  },
]

/** How often the list is asked for anew, in ms: it changes when somebody does something. */
const EVERY = 10_000

/** The topics that have no producer; asked for at once after an action, and now and then. */
function useInactive() {
  const [answer, setAnswer] = useState(/** @type {{ rows: Inactive[] | null, trouble: api.Refused | null }} */ ({ rows: null, trouble: null }))
  useEffect(() => {
    let stopped = false
    const look = async () => {
      if (document.hidden || paused.get()) return
      try {
        const { topics } = await api.read(['topics'], { inactive: 'true' })
        const rows = Object.entries(topics ?? {}).map(([topic, channels]) => ({ topic, channels: /** @type {string[]} */ (channels ?? []) }))
        if (!stopped) setAnswer({ rows, trouble: null })
        status.set('live')
      } catch (problem) {
        if (!stopped) setAnswer((before) => ({ ...before, trouble: /** @type {api.Refused} */ (problem) }))
        status.set('trouble')
      }
    }
    look()
    const timer = setInterval(look, EVERY)
    const stops = [onAction(look), paused.subscribe(look)]
    return () => {
      stopped = true
      clearInterval(timer)
      for (const stop of stops) stop()
    }
  }, [])
  return answer
}

export function LookupPage() {
  const { rows, trouble } = useInactive()
  const list = useMemo(columns, [])
  const none = config.lookupd.length === 0
  return html`<${Head} title="Lookup" />
    ${trouble && html`<${Trouble} trouble=${trouble} />`}
    <div class="pair">
      <${Card} title="nsqlookupd">
        ${none
          ? html`<p class="muted">None is configured: nsqadmin asks these nsqds directly, and they are found by nobody else.</p>
              <ul class="plain">${config.nsqd.map((address) => html`<li><a href=${link('nodes', address)}>${address}</a></li>`)}</ul>`
          : html`<p class="muted">Consumers ask these where a topic is.</p><ul class="plain">${config.lookupd.map((address) => html`<li>${address}</li>`)}</ul>`}
      </${Card}>
      ${config.is_admin && html`<${Create} />`}
    </div>
    ${!none &&
    html`<${Card} title="Topics without a producer" aside=${html`<span class="muted">known to nsqlookupd, on no nsqd</span>`}>
      ${rows
        ? html`<${Table} name="inactive" label="Topics without a producer" noun="topic" rows=${rows} columns=${list} rowKey=${(/** @type {Inactive} */ row) => row.topic}
            text=${rows.length > 8 ? (/** @type {Inactive} */ row) => `${row.topic} ${row.channels.join(' ')}` : undefined} sort="topic+" none="There is none: every topic has a node." />`
        : !trouble && html`<${Loading} />`}
    </${Card}>`}`
}

/** The form that makes a topic, or a channel of it. */
function Create() {
  const [topic, setTopic] = useState('')
  const [channel, setChannel] = useState('')
  const [tried, setTried] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState('')
  const wrongTopic = wrongWith(topic, 'topic')
  const wrongChannel = channel === '' ? '' : wrongWith(channel, 'channel')
  /** @param {Event} event */
  const submit = async (event) => {
    event.preventDefault()
    setTried(true)
    setError('')
    if (wrongTopic || wrongChannel || busy) return
    setBusy(true)
    try {
      await create(topic, channel)
      setTopic('')
      setChannel('')
      setTried(false)
    } catch (problem) {
      setError(/** @type {Error} */ (problem).message)
    }
    setBusy(false)
  }
  /**
   * @param {string} name
   * @param {string} label
   * @param {string} value
   * @param {(value: string) => void} set
   * @param {string} wrong
   */
  const field = (name, label, value, set, wrong) => html`<label class="field"><span>${label}</span>
    <input name=${name} autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="80" value=${value} aria-invalid=${!!wrong} aria-describedby=${`${name}-wrong`}
      onInput=${(/** @type {any} */ change) => set(change.target.value)} />
    <span class="wrong" id=${`${name}-wrong`}>${wrong}</span></label>`
  return html`<${Card} title="Make a topic or a channel">
    <form class="create" onSubmit=${submit} noValidate>
      ${field('topic', 'Topic', topic, setTopic, topic || tried ? wrongTopic : '')}
      ${field('channel', 'Channel (may be left out)', channel, setChannel, wrongChannel)}
      ${error && html`<div class="banner bad" role="alert">${icon('warning')}<p>${error}</p></div>`}
      <div class="row"><button type="submit" class="button strong" data-action="create" disabled=${busy}>${busy ? 'Working…' : 'Create'}</button>
        <span class="muted">${config.lookupd.length > 0 ? `On ${format.many(config.lookupd.length, 'nsqlookupd')}${channel ? ', and on the nsqds that have the topic' : ''}.` : ''}</span></div>
    </form>
  </${Card}>`
}
