/**
 * Plays the run: asks the worker for frames while it plays, sends it what the user does, and keeps the address in step
 * with the position. One request is under way at a time; a drag of the timeline only ever waits for its last place.
 */
import type { Remote } from 'comlink';
import type { MessageLife } from 'sansq/simulation';
import type { Engine, Frame, Opening } from '../worker/protocol';
import { addressLink, scenarioOf, writeAddress } from './link';
import { restart as restartHistory } from './history';
import * as store from './store';

/** A pause in the page's own frames (a hidden tab) is not made up for. */
const ELAPSED_MAX = 100;
const ADDRESS_INTERVAL = 1500;
const FLAT_OUT_TURN = 200;

let engine: Remote<Engine>;
let busy = false;
let lastTick = 0;
let addressAt = 0;
let addressed = '';

export async function begin(started: Remote<Engine>): Promise<void> {
  engine = started;
  store.scenarios.value = await engine.scenarios();
  addEventListener('hashchange', () => {
    const link = addressLink();
    if (link !== undefined && link !== addressed) void open({ link }, false);
  });
  requestAnimationFrame(beat);
}

/** Opens a run; `play` starts it, otherwise it stands where the link says. */
export async function open(opening: Opening, play: boolean): Promise<boolean> {
  store.playing.value = false;
  store.flatOut.value = undefined;
  const opened = await ask(() => engine.open(opening));
  if (!opened) return false;
  store.selection.value = undefined;
  store.adding.value = undefined;
  store.scenario.value = 'scenario' in opening ? opening.scenario : 'link' in opening ? scenarioOf(opening.link) : undefined;
  restartHistory();
  store.playing.value = play;
  await renewAddress();
  return true;
}

export function togglePlay(): void {
  store.flatOut.value = undefined;
  store.playing.value = !store.playing.value;
  if (!store.playing.value) void renewAddress();
}

export async function step(): Promise<void> {
  store.playing.value = false;
  await ask(() => engine.step());
  await renewAddress();
}

export async function stepBack(): Promise<void> {
  const step = store.latest.frame?.view.step ?? 0;
  if (step > 0) await seek({ step: step - 1 });
}

let seeking: { time: number } | { step: number } | undefined;

/** Goes to a time or step, back or ahead. Of several asked for while one is under way, the last counts. */
export async function seek(to: { time: number } | { step: number }): Promise<void> {
  store.playing.value = false;
  const waiting = seeking !== undefined;
  seeking = to;
  if (waiting) return;
  while (seeking !== undefined) {
    const target: { time: number } | { step: number } = seeking;
    await ask(() => engine.seek(target));
    if (seeking === target) seeking = undefined;
  }
  restartHistory();
  await renewAddress();
}

/** Carries out one action of the script grammar; whether it was taken. What was wrong with it is shown. */
export async function act(action: string): Promise<boolean> {
  const done = (await ask(() => engine.apply(action))) !== undefined;
  if (done) await renewAddress();
  return done;
}

export async function fork(): Promise<void> {
  const forked = await ask(() => engine.fork());
  if (!forked) return;
  restartHistory();
  const name = forked.branches[forked.branch]?.name ?? '';
  store.tell(`Run ${name} goes its own way from here`);
}

export async function showBranch(index: number): Promise<void> {
  if (await ask(() => engine.branch(index))) restartHistory();
  await renewAddress();
}

export function life(message: number): Promise<MessageLife | undefined> {
  return engine.life(message);
}

/** The address of this very moment. */
export async function address(): Promise<string> {
  const link = await engine.link();
  return writeAddress(link);
}

export function toggleFlatOut(): void {
  if (store.flatOut.value) {
    store.flatOut.value = undefined;
    void renewAddress();
    return;
  }
  store.playing.value = false;
  store.flatOut.value = { deliveries: 0, rate: 0, steps: 0 };
}

/** One request to the worker that is answered with a frame. An error is shown, and undefined returned. */
async function ask(request: () => Promise<Frame>): Promise<Frame | undefined> {
  try {
    const frame = await request();
    store.accept(frame, true);
    return frame;
  } catch (error) {
    store.tell(error instanceof Error ? error.message : String(error), true);
    return undefined;
  }
}

function beat(at: number): void {
  requestAnimationFrame(beat);
  const elapsed = Math.min(ELAPSED_MAX, at - lastTick);
  if (busy) return;
  lastTick = at;
  if (store.flatOut.value) void turnFlatOut();
  else if (store.playing.value) void turn(elapsed);
}

async function turn(elapsed: number): Promise<void> {
  busy = true;
  try {
    const frame = await engine.tick(elapsed, store.pace.peek());
    if (!store.playing.value) return store.accept(frame, true);
    store.accept(frame, false);
    const { ended, violation, now, until } = frame.view;
    if (ended || violation !== null || now === until) {
      store.playing.value = false;
      store.accept(frame, true);
    }
    if (performance.now() - addressAt > ADDRESS_INTERVAL || !store.playing.value) await renewAddress();
  } catch (error) {
    store.playing.value = false;
    store.tell(error instanceof Error ? error.message : String(error), true);
  } finally {
    busy = false;
  }
}

async function turnFlatOut(): Promise<void> {
  busy = true;
  try {
    const { deliveries, steps, realMs, frame } = await engine.measure(FLAT_OUT_TURN);
    store.accept(frame, true);
    const before = store.flatOut.value;
    if (!before) return;
    store.flatOut.value = {
      deliveries: before.deliveries + deliveries,
      steps: before.steps + steps,
      rate: deliveries / (realMs / 1000),
    };
    if (steps === 0) toggleFlatOut();
  } catch (error) {
    store.flatOut.value = undefined;
    store.tell(error instanceof Error ? error.message : String(error), true);
  } finally {
    busy = false;
  }
}

async function renewAddress(): Promise<void> {
  addressAt = performance.now();
  const link = await engine.link();
  addressed = link;
  history.replaceState(null, '', writeAddress(link));
}
