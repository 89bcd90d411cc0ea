// Light or dark: as the system has it, until somebody chooses. The choice is kept.

import { kept, useMedia, useStore } from './store.js'

const DARK = '(prefers-color-scheme: dark)'
const choice = kept('theme', '')

/** Sets the chosen theme, before anything is drawn. */
export function apply() {
  const system = matchMedia(DARK).matches ? 'dark' : 'light'
  document.documentElement.dataset.theme = choice.get() || system
}

matchMedia(DARK).addEventListener('change', apply)

/** The theme in force, and how to change to the other. */
export function useTheme() {
  const dark = useMedia(DARK)
  const theme = useStore(choice) || (dark ? 'dark' : 'light')
  const flip = () => {
    const next = theme === 'dark' ? 'light' : 'dark'
    // What the system says anyway need not be kept.
    choice.set(next === (dark ? 'dark' : 'light') ? '' : next)
    apply()
  }
  return { theme, flip }
}
