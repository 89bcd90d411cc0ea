/**
 * Paints a frame on the stage's canvas: wires, what is on them, and messages where they lie. Boxes and their words are
 * elements of the page under the canvas; `layOut` places both.
 */
import type { Mark } from 'sansq/simulation';
import { parseTime } from '../state/duration';
import type { Selection } from '../state/selection';
import type { Frame } from '../worker/protocol';
import { Flashes } from './flashes';
import { trace } from './geometry';
import { type Palette, readPalette } from './palette';
import { Picks } from './picks';
import { left, type PlacedWire, right, type Scene } from './scene';
import { Sprites } from './sprites';
import { type Brush, paintTrays } from './trays';
import { paintWires, travellingOf } from './wires';

export class Painter {
  readonly picks = new Picks();
  readonly #context: CanvasRenderingContext2D;
  readonly #flashes = new Flashes();
  #palette: Palette;
  #sprites: Sprites;
  #scale = 1;

  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d');
    if (!context) throw new Error('this browser has no 2D canvas');
    this.#context = context;
    this.#palette = readPalette();
    this.#sprites = new Sprites(this.#palette, this.#scale);
  }

  /** To be called when the theme has changed. */
  renewPalette(): void {
    this.#palette = readPalette();
    this.#sprites = new Sprites(this.#palette, this.#scale);
  }

  resize(width: number, height: number): void {
    const scale = Math.min(2, devicePixelRatio || 1);
    if (this.canvas.width === Math.round(width * scale) && this.canvas.height === Math.round(height * scale)) return;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    if (scale !== this.#scale) this.#sprites = new Sprites(this.#palette, scale);
    this.#scale = scale;
  }

  /** Whether something still moves although no frame has come. */
  get busy(): boolean {
    return this.#flashes.busy;
  }

  /** `fresh`: marks since the last painting. `at`: real time, for what only shines. */
  paint(frame: Frame, scene: Scene, selection: Selection | undefined, fresh: Mark[], at: number, still: boolean): void {
    const context = this.#context;
    context.setTransform(this.#scale, 0, 0, this.#scale, 0, 0);
    context.clearRect(0, 0, scene.width, scene.height);
    this.picks.clear();
    const brush: Brush = { context, sprites: this.#sprites, palette: this.#palette, picks: this.picks };
    this.#paintFans(scene);
    const chosen = (wire: PlacedWire): boolean =>
      selection?.kind === 'wire' ? selection.client === wire.client && selection.node === wire.node : false;
    paintWires(brush, frame, scene, chosen, still ? 0 : at);
    paintTrays(brush, frame, scene, travellingOf(frame, scene), timeoutsOf(frame));
    if (selection?.kind === 'message') this.#paintChosen(selection.number);
    if (fresh.length > 0) this.#flashes.add(fresh, scene, at);
    this.#flashes.paint(brush, at, still);
  }

  /** The lines by which a topic hands to its channels. */
  #paintFans(scene: Scene): void {
    if (scene.compact) return;
    const context = this.#context;
    context.strokeStyle = this.#palette.wire;
    context.lineWidth = 1.5;
    for (const channel of scene.channels) {
      const topic = scene.topics.find(({ node, topic }) => node === channel.node && topic === channel.topic);
      if (!topic) continue;
      context.beginPath();
      trace(context, { from: right(topic.rect), to: left(channel.rect) });
      context.stroke();
    }
  }

  #paintChosen(message: number): void {
    const context = this.#context;
    context.strokeStyle = this.#palette.selected;
    context.lineWidth = 2;
    for (const { x, y, size } of this.picks.find(message)) {
      context.beginPath();
      context.arc(x, y, size / 2 + 5, 0, Math.PI * 2);
      context.stroke();
    }
  }
}

/** By consumer: how long it may take for a message, in ms. */
function timeoutsOf({ view }: Frame): Map<number, number> {
  const usual = parseTime(view.nodes[0]?.config['msg-timeout']) ?? 60_000;
  return new Map(view.consumers.map(({ index, options }) => [index, parseTime(options['msg-timeout']) || usual]));
}
