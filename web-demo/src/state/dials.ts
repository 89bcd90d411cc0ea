/** What can be turned on a producer, consumer, node or wire: the option's key, its range, and how it is written. */
import { bytes, count, span } from './format';
import { parseNumber, parseTime, writeTime } from './duration';

export interface Dial {
  key: string;
  label: string;
  hint: string;
  min: number;
  max: number;
  /** Equal steps of the slider multiply; `min` is then the first step above 0, if `zero` is set. */
  log: boolean;
  zero: boolean;
  /** Used while the view says nothing. */
  usual: number;
  parse(text: string | undefined): number | undefined;
  write(value: number): string;
  show(value: number): string;
}

const STEPS = 200;

/** Where a value stands on a slider of 0 to `STEPS`. */
export function positionOf(dial: Dial, value: number): number {
  if (!dial.log) return Math.round(((value - dial.min) / (dial.max - dial.min)) * STEPS);
  if (value < dial.min) return 0;
  const position = (Math.log(value / dial.min) / Math.log(dial.max / dial.min)) * (STEPS - 1) + 1;
  return Math.round(Math.min(STEPS, position));
}

export function valueAt(dial: Dial, position: number): number {
  if (!dial.log) return Math.round(dial.min + (dial.max - dial.min) * (position / STEPS));
  if (position <= 0) return dial.zero ? 0 : dial.min;
  return neat(dial.min * (dial.max / dial.min) ** ((position - 1) / (STEPS - 1)));
}

export { STEPS };

/** Two digits that count. */
function neat(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value) - 1);
  return Math.round(value / unit) * unit;
}

function time(key: string, label: string, hint: string, min: number, max: number, usual: number): Dial {
  return { key, label, hint, min, max, log: true, zero: true, usual, parse: parseTime, write: writeTime, show: (ms) => (ms === 0 ? 'none' : span(ms)) };
}

function number(key: string, label: string, hint: string, max: number, usual: number, zero = false): Dial {
  return {
    key, label, hint, min: 1, max, log: true, zero, usual, parse: parseNumber,
    write: (value) => String(Math.round(value)),
    show: (value) => count(Math.round(value)),
  };
}

const HOUR = 3_600_000;

export const RATE: Dial = {
  key: 'rate', label: 'Rate', hint: 'messages published per second', min: 0.1, max: 100_000, log: true, zero: true, usual: 0,
  parse: parseNumber,
  write: (value) => `${Number(value.toPrecision(2))}/s`,
  show: (value) => (value === 0 ? 'by hand' : `${value < 10 ? Number(value.toPrecision(2)) : count(value)}/s`),
};
export const SIZE: Dial = { ...number('size', 'Message size', 'bytes of a message body', 1024 ** 2, 100), show: bytes };
export const BATCH = number('batch', 'Batch', 'messages per publish: more than one is an MPUB', 1000, 1);
export const DEFER = time('defer', 'Defer', 'each message is due this long after it was published (DPUB)', 1, HOUR, 0);

export const MAX_IN_FLIGHT = number('max-in-flight', 'Max in flight', 'the ready count (RDY) the consumer asks for', 10_000, 1, true);
export const HANDLER = time('handler', 'Handler time', 'how long the consumer works on a message', 1, 10 * 60_000, 0);
export const FAIL: Dial = {
  key: 'fail', label: 'Failure rate', hint: 'share of messages that the handler requeues', min: 0, max: 100, log: false, zero: true, usual: 0,
  parse: parseNumber, write: (value) => `${Math.round(value)}%`, show: (value) => `${Math.round(value)} %`,
};
export const REQUEUE_DELAY = time('requeue-delay', 'Requeue delay', 'how long a failed message is deferred', 1, HOUR, 0);
export const MSG_TIMEOUT = time('msg-timeout', 'Message timeout', 'time to answer before the message is put back', 1, 15 * 60_000, 60_000);

export const LATENCY = time('latency', 'Latency', 'how long bytes take, each way', 0.01, 60_000, 1);
export const DISK_LATENCY = time('disk-latency', 'Disk latency', 'how long each write and sync takes', 0.01, 10_000, 0);
export const MEM_QUEUE_SIZE = number('mem-queue-size', 'Memory queue', 'messages kept in memory per topic and channel; the rest goes to disk', 100_000, 10_000, true);

export const PRODUCER_DIALS: readonly Dial[] = [RATE, SIZE, BATCH, DEFER];
export const CONSUMER_DIALS: readonly Dial[] = [MAX_IN_FLIGHT, HANDLER, FAIL, REQUEUE_DELAY, MSG_TIMEOUT];
