/**
 * How a message looks in each state: a colour and a shape, so that neither has to be told apart alone. Paths are drawn
 * in a box of 16 by 16; the canvas and the legend use the same ones.
 */

export type Look = 'queued' | 'inFlight' | 'deferred' | 'requeued' | 'timedOut' | 'finished';

/** `dots` say the state as a number. */
export const LOOKS: readonly Look[] = ['queued', 'inFlight', 'deferred', 'requeued', 'timedOut'];

export const LOOK_NAMES: Record<Look, string> = {
  queued: 'queued',
  inFlight: 'in flight',
  deferred: 'deferred',
  requeued: 'requeued',
  timedOut: 'timed out',
  finished: 'finished',
};

const CIRCLE = 'M8 1.2a6.8 6.8 0 1 0 0 13.6a6.8 6.8 0 1 0 0-13.6z';
export const PATHS: Record<Look, string> = {
  queued: CIRCLE,
  // A disk in a ring.
  inFlight: `${CIRCLE}M8 2.9a5.1 5.1 0 1 1 0 10.2a5.1 5.1 0 1 1 0-10.2zM8 4.6a3.4 3.4 0 1 0 0 6.8a3.4 3.4 0 1 0 0-6.8z`,
  // A hollow diamond.
  deferred: 'M8 .4L15.6 8L8 15.6L.4 8zM8 3.4L3.4 8L8 12.6L12.6 8z',
  requeued: 'M8 1.2L15.2 14.2H.8z',
  // A disk with a cross cut out.
  timedOut: `${CIRCLE}M4.3 5.6L6.7 8L4.3 10.4L5.6 11.7L8 9.3L10.4 11.7L11.7 10.4L9.3 8L11.7 5.6L10.4 4.3L8 6.7L5.6 4.3z`,
  // A tick.
  finished: 'M1.6 8.6L3.6 6.4L6.6 9.2L12.6 2.8L14.6 4.8L6.7 13.2z',
};

/** Its colour in the style sheet. */
export function variable(look: Look): string {
  return `--${look.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
