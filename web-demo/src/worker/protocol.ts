/**
 * What the page and its worker say to each other. Only plain values: views, marks and typed arrays cross over, the
 * simulation itself never leaves the worker.
 */
import type { Mark, MessageLife, SimulationView } from 'sansq/simulation';

/** What to open: a link (what stands after `#`), or a built-in scenario, or a script of one's own. */
export type Opening = { link: string } | { scenario: string; seed?: number } | { script: string; seed?: number };

/** Virtual milliseconds for each real one, or `auto`: slow while something is on a wire, quick through idle gaps. */
export type Pace = number | 'auto';

export interface Scenario {
  name: string;
  title: string;
  about: string;
}

/** A run beside others: the one first opened, and those forked from it. */
export interface Branch {
  name: string;
  /** Where it left the run it was forked from, in ms; 0 for the first. */
  since: number;
}

/** All that the page shows of one moment. */
export interface Frame {
  view: SimulationView;
  /** Rows of 8, what is on the wires: see `Simulation.motions`. */
  motions: Float64Array;
  /** Rows of 6, every live copy of a message: see `Simulation.dots`. */
  dots: Float64Array;
  /** When the simulation will do something next, in ms; undefined if never. */
  next: number | undefined;
  /** Marks that were not in an earlier frame of this branch. */
  marks: Mark[];
  /** Forget marks after this step before `marks` are added: the run was changed there. */
  marksUpTo: number | undefined;
  /** The latest time this branch has been played to, in ms. */
  horizon: number;
  /** Virtual milliseconds per real one, as played just now. */
  speed: number;
  /** The machine could not keep up with the pace that was asked for. */
  behind: boolean;
  branch: number;
  branches: Branch[];
}

/** What a turn of running without pictures did. */
export interface Measured {
  deliveries: number;
  steps: number;
  realMs: number;
  frame: Frame;
}

/** The worker, as the page calls it. Calls are carried out in the order made. */
export interface Engine {
  scenarios(): Scenario[];
  open(opening: Opening): Frame;
  /** Plays for `elapsed` real ms. */
  tick(elapsed: number, pace: Pace): Frame;
  step(): Frame;
  seek(to: { time: number } | { step: number }): Frame;
  /** One action of the script grammar; throws an error that says what is wrong with it. */
  apply(action: string): Frame;
  fork(): Frame;
  branch(index: number): Frame;
  life(message: number): MessageLife | undefined;
  link(): string;
  /** Runs for `realMs` as fast as it goes, without a picture between. */
  measure(realMs: number): Measured;
}
