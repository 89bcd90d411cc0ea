/** Short histories of each channel for the little charts: depth, in flight, deferred, and finished per second. */
import { signal } from '@preact/signals';
import type { SimulationView } from 'sansq/simulation';
import { channelsOf } from './selection';

const LENGTH = 90;

export interface Series {
  depth: number[];
  inFlight: number[];
  deferred: number[];
  /** Messages finished per virtual second. */
  rate: number[];
}

interface Tracked extends Series {
  finished: number;
  at: number;
}

const tracked = new Map<number, Tracked>();
/** Grows with each sample, for those who draw. */
export const samples = signal(0);

/** Forgets everything: time has jumped. */
export function restart(): void {
  tracked.clear();
  samples.value += 1;
}

export function seriesOf(channel: number): Series | undefined {
  return tracked.get(channel);
}

/** Takes a sample, if time has gone on since the last one. */
export function sample(view: SimulationView): void {
  let fresh = false;
  for (const { channel } of channelsOf(view)) {
    let series = tracked.get(channel.index);
    if (!series || series.at > view.now || channel.finished < series.finished) {
      series = { depth: [], inFlight: [], deferred: [], rate: [], finished: channel.finished, at: view.now };
      tracked.set(channel.index, series);
    } else if (series.at === view.now) {
      continue;
    } else {
      const rate = ((channel.finished - series.finished) * 1000) / (view.now - series.at);
      const before = series.rate.at(-1) ?? rate;
      push(series.rate, before * 0.7 + rate * 0.3);
      series.finished = channel.finished;
      series.at = view.now;
    }
    push(series.depth, channel.depth);
    push(series.inFlight, channel.inFlight);
    push(series.deferred, channel.deferred);
    fresh = true;
  }
  if (fresh) samples.value += 1;
}

function push(values: number[], value: number): void {
  values.push(value);
  if (values.length > LENGTH) values.shift();
}
