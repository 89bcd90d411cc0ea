/**
 * Messages that lie somewhere: queued and deferred in a channel, in flight at a consumer. The more there are, the
 * smaller each is drawn; what does not fit even so is a number in the box beside.
 */
import type { Frame } from '../worker/protocol';
import type { Rect } from './geometry';
import type { Picks } from './picks';
import type { Palette } from './palette';
import type { Scene } from './scene';
import { LOOKS } from './shapes';
import type { Sprites } from './sprites';

const ROW = 6;
const [CHANNEL, NUMBER, STATE, CONSUMER, DUE] = [0, 1, 2, 3, 5];
const SIZES = [16, 13, 11, 9, 7, 6, 5, 4, 3, 2];
const LABELLED = { w: 24, h: 29 };

export interface Brush {
  context: CanvasRenderingContext2D;
  sprites: Sprites;
  palette: Palette;
  picks: Picks;
}

/** What is on its way between a consumer and the node, and so is not drawn as lying at the consumer. */
export interface Travelling {
  numbers: Set<number>;
  /** Of batches only the size is known: they are the newest delivered, and the oldest answered. */
  newest: number;
  oldest: number;
}

/** Offsets of the rows of `dots`, by where they are drawn. */
interface Sorted {
  queued: Map<number, number[]>;
  deferred: Map<number, number[]>;
  inFlight: Map<number, number[]>;
}

export function paintTrays(brush: Brush, frame: Frame, scene: Scene, travelling: Map<number, Travelling>, timeouts: Map<number, number>): void {
  const { dots, view } = frame;
  const sorted = sort(dots);
  for (const channel of scene.channels) {
    lay(brush, dots, sorted.queued.get(channel.index) ?? [], channel.queue, 'right');
    const deferred = sorted.deferred.get(channel.index);
    if (deferred) lay(brush, dots, deferred.sort(byDue(dots)), channel.deferred, 'right');
  }
  for (const consumer of scene.consumers) {
    const rows = sorted.inFlight.get(consumer.index);
    if (!rows) continue;
    const there = leaveOut(dots, rows.sort(byDue(dots)), travelling.get(consumer.index));
    const timeout = timeouts.get(consumer.index);
    lay(brush, dots, there, consumer.tray, 'left', timeout === undefined ? undefined : (row) => ((dots[row + DUE] ?? 0) - view.now) / timeout);
  }
}

function sort(dots: Float64Array): Sorted {
  const sorted: Sorted = { queued: new Map(), deferred: new Map(), inFlight: new Map() };
  for (let row = 0; row + ROW <= dots.length; row += ROW) {
    const state = dots[row + STATE];
    const [where, key] =
      state === 1
        ? [sorted.inFlight, dots[row + CONSUMER] ?? -1]
        : [state === 2 ? sorted.deferred : sorted.queued, dots[row + CHANNEL] ?? -1];
    const rows = where.get(key);
    if (rows) rows.push(row);
    else where.set(key, [row]);
  }
  return sorted;
}

function byDue(dots: Float64Array): (one: number, other: number) => number {
  return (one, other) => (dots[one + DUE] ?? 0) - (dots[other + DUE] ?? 0) || (dots[one + NUMBER] ?? 0) - (dots[other + NUMBER] ?? 0);
}

function leaveOut(dots: Float64Array, rows: number[], travelling: Travelling | undefined): number[] {
  if (!travelling) return rows;
  const there = rows.filter((row) => !travelling.numbers.has(dots[row + NUMBER] ?? -1));
  return there.slice(travelling.oldest, Math.max(travelling.oldest, there.length - travelling.newest));
}

/** Lays messages out in a box, from the side they leave by. `left` of each: what remains of its time, 0 to 1. */
function lay(brush: Brush, dots: Float64Array, rows: number[], box: Rect, from: 'left' | 'right', remaining?: (row: number) => number): void {
  if (rows.length === 0 || box.h < 2) return;
  const labelled = box.h >= LABELLED.h && rows.length <= Math.floor(box.w / LABELLED.w) && (dots[(rows.at(-1) ?? 0) + NUMBER] ?? 0) < 1000;
  const cell = labelled ? LABELLED : fit(box, rows.length);
  const down = Math.max(1, Math.floor(box.h / cell.h));
  const across = Math.max(1, Math.floor(box.w / cell.w));
  const size = labelled ? 16 : cell.w < 5 ? cell.w : cell.w - 1.5;
  const top = box.y + (box.h - Math.min(down, rows.length) * cell.h) / 2;
  for (let i = 0; i < Math.min(rows.length, down * across); i += 1) {
    const row = rows[i] ?? 0;
    const [column, line] = [Math.floor(i / down), i % down];
    const x = from === 'right' ? box.x + box.w - (column + 0.5) * cell.w : box.x + (column + 0.5) * cell.w;
    const y = top + line * cell.h + (labelled ? 9 : cell.h / 2);
    place(brush, dots, row, x, y, size, labelled, remaining?.(row));
  }
}

function place(brush: Brush, dots: Float64Array, row: number, x: number, y: number, size: number, labelled: boolean, remaining: number | undefined): void {
  const { context, sprites, palette, picks } = brush;
  const number = dots[row + NUMBER] ?? 0;
  const look = LOOKS[dots[row + STATE] ?? 0] ?? 'queued';
  sprites.stamp(context, look, x, y, size);
  picks.add(x, y, size, number);
  if (remaining !== undefined && size >= 11) {
    context.beginPath();
    context.arc(x, y, size / 2 + 1.5, -Math.PI / 2, -Math.PI / 2 + Math.PI * 2 * Math.max(0, Math.min(1, remaining)));
    context.strokeStyle = remaining < 0.2 ? palette.looks.timedOut : palette.looks.inFlight;
    context.lineWidth = 1.5;
    context.stroke();
  }
  if (!labelled) return;
  context.fillStyle = palette.faint;
  context.font = '500 9.5px "JetBrains Mono Variable", monospace';
  context.textAlign = 'center';
  context.textBaseline = 'alphabetic';
  context.fillText(String(number), x, y + 18.5);
}

/** The largest cell of which `count` fit. */
function fit(box: Rect, count: number): { w: number; h: number } {
  const size = SIZES.find((side) => Math.floor(box.w / side) * Math.floor(box.h / side) >= count) ?? 2;
  return { w: size, h: size };
}
