/** Words that rise and fade where something happened: a timeout, a requeue, a crash. In real time, of no consequence. */
import type { Mark } from 'sansq/simulation';
import { middle, type Scene } from './scene';
import type { Brush } from './trays';

const LASTS = 1300;
const MAX = 24;

const WORDS: Partial<Record<Mark['kind'], string>> = {
  timeout: 'timed out',
  requeue: 'requeued',
  crash: 'crashed',
  kill: 'killed',
  start: 'started',
  drop: 'dropped',
  error: 'error',
  violation: 'violation',
};

interface Flash {
  text: string;
  kind: Mark['kind'];
  x: number;
  y: number;
  since: number;
}

export class Flashes {
  #flashes: Flash[] = [];

  get busy(): boolean {
    return this.#flashes.length > 0;
  }

  add(marks: Mark[], scene: Scene, at: number): void {
    for (const mark of marks.slice(-MAX)) {
      const word = WORDS[mark.kind];
      const place = word === undefined ? undefined : find(scene, mark.who);
      if (!word || !place) continue;
      const known = this.#flashes.find(({ x, y, since }) => x === place.x && y === place.y && at - since < 160);
      if (known) continue;
      this.#flashes.push({ text: mark.count > 1 ? `${word} ×${mark.count}` : word, kind: mark.kind, ...place, since: at });
    }
    this.#flashes = this.#flashes.slice(-MAX);
  }

  paint({ context, palette }: Brush, at: number, still: boolean): void {
    this.#flashes = this.#flashes.filter(({ since }) => at - since < LASTS);
    for (const { text, kind, x, y, since } of this.#flashes) {
      const age = (at - since) / LASTS;
      context.globalAlpha = age < 0.5 ? 1 : 2 - age * 2;
      context.font = '600 11px "Inter Variable", sans-serif';
      context.textAlign = 'center';
      context.textBaseline = 'middle';
      const width = context.measureText(text).width + 14;
      const top = y - 10 - (still ? 0 : age * 18);
      context.fillStyle = kind === 'timeout' ? palette.looks.timedOut : kind === 'requeue' ? palette.looks.requeued : kind === 'start' ? palette.looks.inFlight : palette.bad;
      context.beginPath();
      context.roundRect(x - width / 2, top - 10, width, 20, 10);
      context.fill();
      context.fillStyle = palette.onMark;
      context.fillText(text, x, top + 0.5);
    }
    context.globalAlpha = 1;
  }
}

/** The place of a client, a node, or a `node/topic/channel`. */
function find(scene: Scene, who: string): { x: number; y: number } | undefined {
  const client = scene.consumers.find(({ name }) => name === who) ?? scene.producers.find(({ name }) => name === who);
  if (client) return { x: client.rect.x + client.rect.w / 2, y: client.rect.y };
  const channel = scene.channels.find((placed) => who === `${placed.node}/${placed.topic}/${placed.channel}` || who === `${placed.topic}/${placed.channel}`);
  if (channel) return middle(channel.rect);
  const node = scene.nodes.find((placed) => placed.node === who.split('/')[0]);
  return node ? { x: node.rect.x + node.rect.w / 2, y: node.rect.y + 14 } : undefined;
}
