/**
 * What the page knows, as signals. The latest frame is also kept as a plain value for the painter, which looks at it
 * sixty times a second; `view` is renewed less often, so that numbers can be read.
 */
import { signal } from '@preact/signals';
import type { Mark, SimulationView } from 'sansq/simulation';
import type { Branch, Frame, Pace, Scenario } from '../worker/protocol';
import type { Selection } from './selection';

/** Numbers on the page are renewed at most this often, in ms, while the run plays. */
const VIEW_INTERVAL = 100;
const MARKS_MAX = 20_000;

export const scenarios = signal<Scenario[]>([]);
/** The scenario opened; undefined for a script or link of one's own. */
export const scenario = signal<string | undefined>(undefined);
export const view = signal<SimulationView | undefined>(undefined);
export const marks = signal<Mark[]>([]);
export const horizon = signal(0);
export const next = signal<number | undefined>(undefined);
export const branches = signal<Branch[]>([]);
export const branch = signal(0);

export const playing = signal(false);
export const pace = signal<Pace>('auto');
export const speed = signal(0);
export const behind = signal(false);
/** Deliveries a second of the last turn without pictures; undefined while there are pictures. */
export const flatOut = signal<{ deliveries: number; rate: number; steps: number } | undefined>(undefined);

export const selection = signal<Selection | undefined>(undefined);
export const notice = signal<{ text: string; bad: boolean } | undefined>(undefined);
export const helpOpen = signal(false);
export const adding = signal<'producer' | 'consumer' | 'topic' | 'channel' | undefined>(undefined);
export const dock = signal<'channels' | 'timers' | 'wires'>('channels');

/** The latest frame. `fresh` are the marks that it brought, for what flashes up in the picture. */
export const latest: { frame: Frame | undefined; fresh: Mark[]; version: number } = {
  frame: undefined,
  fresh: [],
  version: 0,
};

let viewAt = 0;

/** Takes a frame in. `now`: show its numbers at once, for it answers something that was asked for. */
export function accept(frame: Frame, now: boolean): void {
  if (frame !== latest.frame) take(frame);
  if (!now && performance.now() - viewAt < VIEW_INTERVAL) return;
  viewAt = performance.now();
  view.value = frame.view;
  horizon.value = frame.horizon;
  next.value = frame.next;
  speed.value = frame.speed;
  behind.value = frame.behind;
  if (branches.value.length !== frame.branches.length || frame.branch !== branch.value || now) {
    branches.value = frame.branches;
    branch.value = frame.branch;
  }
}

function take(frame: Frame): void {
  latest.frame = frame;
  latest.fresh = frame.marks;
  latest.version += 1;
  if (frame.marksUpTo === undefined && frame.marks.length === 0) return;
  const upTo = frame.marksUpTo ?? Infinity;
  const kept = upTo === Infinity ? marks.value : marks.value.filter((mark) => mark.step <= upTo);
  marks.value = [...kept, ...frame.marks].slice(-MARKS_MAX);
}

/** Shows a line for a few seconds, and says it to a screen reader. */
export function tell(text: string, bad = false): void {
  const shown = { text, bad };
  notice.value = shown;
  setTimeout(() => {
    if (notice.value === shown) notice.value = undefined;
  }, bad ? 6000 : 2600);
}
