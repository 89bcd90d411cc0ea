/** Light or dark: as the system has it, until the reader says otherwise. */
import { signal } from '@preact/signals';

const KEPT = 'sansq-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

export const dark = signal(false);
/** Whether the reader prefers that things do not move about by themselves. */
export const still = matchMedia('(prefers-reduced-motion: reduce)');

/** Whoever draws with the theme's colours is told when it has changed. */
export const themeChanged = new EventTarget();

export function startTheme(): void {
  const kept = read();
  show(kept === undefined ? system.matches : kept === 'dark');
  system.addEventListener('change', () => {
    if (read() === undefined) show(system.matches);
  });
}

export function toggleTheme(): void {
  show(!dark.value);
  try {
    localStorage.setItem(KEPT, dark.value ? 'dark' : 'light');
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

function show(isDark: boolean): void {
  dark.value = isDark;
  document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
  themeChanged.dispatchEvent(new Event('change'));
}

function read(): string | undefined {
  try {
    return localStorage.getItem(KEPT) ?? undefined;
  } catch {
    return undefined;
  }
}
