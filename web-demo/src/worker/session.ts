/**
 * The runs behind the page: the one opened, those forked from it, and how they are played. Decides nothing about
 * queues: it moves `Simulation`s of the `sansq` package in time and says how they look.
 */
import { Simulation } from 'sansq/simulation';
import type { Mark, MessageLife } from 'sansq/simulation';
import { AutoPace } from './pace';
import type { Engine, Frame, Measured, Opening, Pace, Scenario } from './protocol';

/** Real ms that a turn may take before it hands a frame to the page. */
const TURN_BUDGET = 12;
const STEPS_AT_ONCE = 512;
const BRANCHES_MAX = 6;
const FRAMES_PER_WIRE = 24;
const DEADLINES_SHOWN = 64;
const NOTHING = { messages: 0, frames: 0 };

interface Run {
  simulation: Simulation;
  name: string;
  since: number;
  horizon: number;
  /** Where the guided part ends, in ms: playing stops there once. */
  end: number;
  /** The last step whose marks the page has. */
  marked: number;
}

export class Session implements Engine {
  #runs: Run[] = [];
  #current = 0;
  #auto = new AutoPace();
  #speed = 0;
  #behind = false;
  #marksUpTo: number | undefined;

  scenarios(): Scenario[] {
    return Simulation.scenarios().map(({ name, title, about }) => ({ name, title, about }));
  }

  open(opening: Opening): Frame {
    const simulation = new Simulation(opening);
    for (const run of this.#runs) run.simulation.free();
    this.#runs = [{ simulation, name: 'A', since: 0, horizon: simulation.now, end: simulation.view(NOTHING).until ?? Infinity, marked: -1 }];
    return this.#show(0);
  }

  tick(elapsed: number, pace: Pace): Frame {
    const simulation = this.#run.simulation;
    const end = performance.now() + TURN_BUDGET;
    const before = simulation.now;
    this.#behind = false;
    let left = elapsed;
    while (left > 0.01 && !this.#behind) {
      const speed = pace === 'auto' ? this.#autoSpeed() : pace;
      let until = simulation.now + left * speed;
      if (pace === 'auto') until = Math.min(until, Math.max(simulation.nextEventAt() ?? until, simulation.now + 0.01 * speed));
      if (simulation.now < this.#run.end) until = Math.min(until, this.#run.end);
      left -= (until - simulation.now) / speed;
      this.#runUntil(until, end);
      if (simulation.violation !== undefined || simulation.now === this.#run.end) break;
    }
    this.#speed = (simulation.now - before) / Math.max(elapsed, 0.001);
    return this.#frame();
  }

  step(): Frame {
    this.#run.simulation.stepOnce();
    return this.#frame();
  }

  seek(to: { time: number } | { step: number }): Frame {
    this.#run.simulation.seek(to);
    this.#auto = new AutoPace();
    return this.#frame();
  }

  apply(action: string): Frame {
    const run = this.#run;
    const at = run.simulation.step;
    run.simulation.apply(action);
    if (at < run.marked) {
      // The run goes another way from here: what was seen of its future is of no more use.
      this.#marksUpTo = at;
      run.marked = at;
      run.horizon = run.simulation.now;
    }
    return this.#frame();
  }

  fork(): Frame {
    const { simulation } = this.#run;
    if (this.#runs.length >= BRANCHES_MAX) throw new Error(`there are ${BRANCHES_MAX} runs already; reload to start over`);
    const copy = simulation.fork();
    const name = String.fromCharCode(65 + this.#runs.length);
    this.#runs.push({ simulation: copy, name, since: copy.now, horizon: copy.now, end: this.#run.end, marked: -1 });
    return this.#show(this.#runs.length - 1);
  }

  branch(index: number): Frame {
    return this.#show(Math.min(Math.max(0, index), this.#runs.length - 1));
  }

  life(message: number): MessageLife | undefined {
    return this.#run.simulation.message(message);
  }

  link(): string {
    return this.#run.simulation.link();
  }

  measure(realMs: number): Measured {
    const { simulation } = this.#run;
    const [delivered, step, started] = [deliveries(simulation), simulation.step, performance.now()];
    while (performance.now() - started < realMs && simulation.violation === undefined) {
      if (simulation.runSteps(STEPS_AT_ONCE) === 0) break;
    }
    const realTaken = performance.now() - started;
    return {
      deliveries: deliveries(simulation) - delivered,
      steps: simulation.step - step,
      realMs: realTaken,
      frame: this.#frame(),
    };
  }

  get #run(): Run {
    const run = this.#runs[this.#current];
    if (!run) throw new Error('nothing is opened yet');
    return run;
  }

  #show(index: number): Frame {
    this.#current = index;
    this.#auto = new AutoPace();
    this.#speed = 0;
    this.#marksUpTo = -1;
    this.#run.marked = -1;
    return this.#frame();
  }

  #autoSpeed(): number {
    const { simulation } = this.#run;
    return this.#auto.speed(simulation.motions(), simulation.now, simulation.nextEventAt());
  }

  /** Runs until `until` (virtual ms), or until `end` (real ms) is reached: then the page is behind. */
  #runUntil(until: number, end: number): void {
    const { simulation } = this.#run;
    while (simulation.runUntil(until, { maxSteps: STEPS_AT_ONCE }) >= STEPS_AT_ONCE && simulation.now < until) {
      if (performance.now() > end) {
        this.#behind = true;
        return;
      }
    }
  }

  #frame(): Frame {
    const run = this.#run;
    const { simulation } = run;
    const marks: Mark[] = simulation.marks(Math.max(0, run.marked)).filter((mark) => mark.step > run.marked);
    run.marked = Math.max(run.marked, simulation.step);
    run.horizon = Math.max(run.horizon, simulation.now);
    const marksUpTo = this.#marksUpTo;
    this.#marksUpTo = undefined;
    return {
      view: simulation.view({ messages: DEADLINES_SHOWN, frames: FRAMES_PER_WIRE }),
      motions: simulation.motions(),
      dots: simulation.dots(),
      next: simulation.nextEventAt(),
      marks,
      marksUpTo,
      horizon: run.horizon,
      speed: this.#speed,
      behind: this.#behind,
      branch: this.#current,
      branches: this.#runs.map(({ name, since }) => ({ name, since })),
    };
  }
}

/** Messages handed to consumers so far, in all channels. */
function deliveries(simulation: Simulation): number {
  let sum = 0;
  for (const node of simulation.view(NOTHING).nodes)
    for (const topic of node.topics) for (const channel of topic.channels) sum += channel.delivered;
  return sum;
}
