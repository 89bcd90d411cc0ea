/** The page's icons: 16 by 16, drawn with the colour of the text around them. */

const PATHS = {
  play: 'M4.5 2.8v10.4L13 8z',
  pause: 'M4 3h3v10H4zM9 3h3v10H9z',
  step: 'M3 3l6.5 5L3 13zM10.5 3H13v10h-2.5z',
  back: 'M13 3L6.5 8 13 13zM3 3h2.5v10H3z',
  start: 'M2.5 3H4v10H2.5zM9 3L4.5 8 9 13zM14 3L9.5 8l4.5 5z',
  fork: 'M4 2a2 2 0 0 1 .75 3.85V7.2c.5.35 1.2.55 2.25.6h2c.9-.05 1.6-.25 2.25-.7V5.85a2 2 0 1 1 1.5 0v1.9C11.7 8.8 10.4 9.3 9 9.3H7c-.9 0-1.65-.1-2.25-.35v1.2a2 2 0 1 1-1.5 0v-4.3A2 2 0 0 1 4 2z',
  link: 'M6.6 9.4a2.6 2.6 0 0 0 3.7 0l2.2-2.2a2.6 2.6 0 1 0-3.7-3.7l-.9.9.9.9.9-.9a1.4 1.4 0 0 1 2 2L9.4 8.5a1.4 1.4 0 0 1-2 0zM9.4 6.6a2.6 2.6 0 0 0-3.7 0L3.5 8.8a2.6 2.6 0 1 0 3.7 3.7l.9-.9-.9-.9-.9.9a1.4 1.4 0 0 1-2-2l2.3-2.1a1.4 1.4 0 0 1 2 0z',
  bolt: 'M9 1L3 9.2h4L6.2 15 13 6.6H8.6z',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM7.3 1h1.4v2.2H7.3zM7.3 12.8h1.4V15H7.3zM1 7.3h2.2v1.4H1zM12.8 7.3H15v1.4h-2.2zM2.6 3.6l1-1 1.5 1.6-1 1zM10.9 11.9l1-1 1.5 1.5-1 1zM2.6 12.4l1.5-1.5 1 1-1.5 1.5zM10.9 4.1l1.5-1.5 1 1-1.5 1.5z',
  moon: 'M6.2 1.6A6.6 6.6 0 1 0 14.4 9.8 5.4 5.4 0 0 1 6.2 1.6z',
  close: 'M4.1 3L8 6.9 11.9 3 13 4.1 9.1 8l3.9 3.9-1.1 1.1L8 9.1 4.1 13 3 11.9 6.9 8 3 4.1z',
  plus: 'M7.2 2.5h1.6v4.7h4.7v1.6H8.8v4.7H7.2V8.8H2.5V7.2h4.7z',
  next: 'M5 2.5L10.5 8 5 13.5 3.9 12.4 8.3 8 3.9 3.6z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} fill="currentColor" fill-rule="evenodd" />
    </svg>
  );
}
