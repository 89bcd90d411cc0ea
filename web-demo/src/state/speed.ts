/** The speed slider's scale: 1/100 to 1,000 times, by equal factors. */
import * as store from './store';

export const SLOWEST = 1 / 100;
export const FASTEST = 1000;
const DECADES = Math.log10(FASTEST / SLOWEST);
export const POSITIONS = 100;

export function speedAt(position: number): number {
  return SLOWEST * 10 ** ((position / POSITIONS) * DECADES);
}

export function positionOfSpeed(speed: number): number {
  return Math.round((Math.log10(Math.max(SLOWEST, Math.min(FASTEST, speed)) / SLOWEST) / DECADES) * POSITIONS);
}

/** Sets the pace to a multiple of what it is; from `auto`, of what it was just now. */
export function changePace(factor: number): void {
  const now = store.pace.value === 'auto' ? store.speed.value || 1 : store.pace.value;
  store.pace.value = Math.max(SLOWEST, Math.min(FASTEST, now * factor));
}
