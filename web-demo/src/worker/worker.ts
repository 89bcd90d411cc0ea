/** The worker's entry: one `Session`, called by the page. Frames are handed over, not copied. */
import * as Comlink from 'comlink';
import type { Engine, Frame } from './protocol';
import { Session } from './session';

const session = new Session();

function handOver(frame: Frame): Frame {
  return Comlink.transfer(frame, [frame.motions.buffer, frame.dots.buffer]);
}

const engine: Engine = {
  scenarios: () => session.scenarios(),
  open: (opening) => handOver(session.open(opening)),
  tick: (elapsed, pace) => handOver(session.tick(elapsed, pace)),
  step: () => handOver(session.step()),
  seek: (to) => handOver(session.seek(to)),
  apply: (action) => handOver(session.apply(action)),
  fork: () => handOver(session.fork()),
  branch: (index) => handOver(session.branch(index)),
  life: (message) => session.life(message),
  link: () => session.link(),
  measure: (realMs) => session.measure(realMs),
};

Comlink.expose(engine);
// Only now is somebody listening: the wasm module is loaded before this one is run.
postMessage('ready');
