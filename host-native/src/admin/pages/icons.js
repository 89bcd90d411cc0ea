// Icons, in the colour of the text.

import { html } from './preact.js'

/** @type {Record<string, string>} */
const PATHS = {
  up: 'M8 12V4M4.5 7.5 8 4l3.5 3.5',
  down: 'M8 4v8M4.5 8.5 8 12l3.5-3.5',
  right: 'm6 4 4 4-4 4',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3.5v9l7-4.5Z',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1',
  moon: 'M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z',
  close: 'm4 4 8 8M12 4l-8 8',
  warning: 'M8 2 1.5 13.5h13ZM8 6.5V10M8 11.8v.2',
  trash: 'M3 4.5h10M6.5 4V2.5h3V4M4.5 4.5l.6 9h5.8l.6-9',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8ZM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  drain: 'M2.5 3h11M4 6.5h8M5.5 10h5M7 13.5h2',
  tomb: 'M4 14V6.5a4 4 0 0 1 8 0V14M2.5 14h11M8 5.5v4M6.5 7h3',
  help: 'M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM6.2 6.2a1.9 1.9 0 1 1 2.7 2c-.6.3-.9.7-.9 1.3M8 11.5v.1',
  copy: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8Z',
  again: 'M13.5 8A5.5 5.5 0 1 1 12 4.2M12 1.5v3H9',
}

/**
 * @param {string} name
 * @param {number} [size]
 */
export const icon = (name, size = 16) =>
  html`<svg class="icon" width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`
