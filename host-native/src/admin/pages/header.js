// The bar at the top: where to go, how live the page is, how it looks.

import { config, link } from './config.js'
import { html, useEffect, useState } from './preact.js'
import { IntervalChoice } from './graphite.js'
import { icon } from './icons.js'
import { help } from './keys.js'
import { paused, useStatus } from './live.js'
import { useTheme } from './theme.js'
import * as format from './format.js'

/** @type {[string, string, string[]][]} */
const PAGES = [
  ['Topics', link(), ['topics', 'topic', 'channel']],
  ['Nodes', link('nodes'), ['nodes', 'node']],
  ['Counter', link('counter'), ['counter']],
  ['Lookup', link('lookup'), ['lookup']],
]

const WORDS = { connecting: 'connecting', live: 'live', trouble: 'no answer', reconnecting: 'reconnecting' }

/** How live the page is; a click stops it, or lets it go on. */
function Live() {
  const { paused: stopped, status, at } = useStatus()
  const [, tick] = useState(0)
  // A state that stays shown gets older, and says so.
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 1000)
    return () => clearInterval(timer)
  }, [])
  const kind = stopped ? 'paused' : status
  const old = at && (stopped || status !== 'live') ? Date.now() - at : 0
  const age = old >= 1000 ? `, ${format.duration(Math.floor(old / 1000) * 1000)} old` : ''
  return html`<button type="button" class="live ${kind}" aria-pressed=${stopped} aria-label=${`${stopped ? 'paused' : WORDS[status]}${age}: ${stopped ? 'go on' : 'pause'}`}
      title=${stopped ? 'Go on (p)' : 'Pause (p)'} onClick=${() => paused.set(!stopped)}>
    <i></i><span class="word">${stopped ? 'paused' : WORDS[status]}</span><span class="age">${age.slice(2)}</span>${icon(stopped ? 'play' : 'pause', 14)}
  </button>`
}

/** @param {{ page: string }} props */
export function Header({ page }) {
  const { theme, flip } = useTheme()
  return html`<header class="header">
    <a class="brand" href=${link()} title=${`nsqadmin of Sansq ${config.version}`}>
      <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" class="tile" /><path d="M7 16h6M13 16C17 16 17 9 22 9M13 16c4 0 4 7 9 7" /><circle cx="8" cy="16" r="2.6" /><circle cx="23.5" cy="9" r="2.6" /><circle cx="23.5" cy="23" r="2.6" /></svg>
      <span>nsqadmin</span>
    </a>
    <nav class="pages" aria-label="Pages">${PAGES.map(
      ([name, href, pages]) => html`<a href=${href} aria-current=${pages.includes(page) ? 'page' : undefined}>${name}</a>`,
    )}</nav>
    <div class="tools">
      <${IntervalChoice} />
      <${Live} />
      ${config.user && html`<span class="user muted" title=${config.is_admin ? 'Administrator' : 'May look, not change'}>${config.user}</span>`}
      <button type="button" class="button quiet square" data-theme-button aria-label=${theme === 'dark' ? 'Light colours' : 'Dark colours'}
        title=${theme === 'dark' ? 'Light colours' : 'Dark colours'} onClick=${flip}>${icon(theme === 'dark' ? 'sun' : 'moon')}</button>
      <button type="button" class="button quiet square wide" aria-label="Keys" title="Keys (?)" onClick=${() => help.set(true)}>${icon('help')}</button>
    </div>
  </header>`
}
