/**
 * Where everything stands: producers left, nodes with their topics and channels in the middle, consumers right. A pure
 * function of the topology and the room there is, so that nothing moves while only numbers change.
 */
import type { SimulationView } from 'sansq/simulation';
import type { Curve, Point, Rect } from './geometry';

export interface Placed {
  rect: Rect;
}
export interface PlacedNode extends Placed {
  node: string;
}
export interface PlacedTopic extends Placed {
  node: string;
  topic: string;
}
export interface PlacedChannel extends Placed {
  index: number;
  node: string;
  topic: string;
  channel: string;
  /** Where its queued messages are drawn, the next one at the right. */
  queue: Rect;
  /** Where its deferred messages are drawn. */
  deferred: Rect;
}
export interface PlacedClient extends Placed {
  index: number;
  name: string;
  /** Where a consumer's messages in flight are drawn. */
  tray: Rect;
}
export interface PlacedWire {
  index: number;
  client: string;
  node: string;
  /** From the client to the node. */
  curve: Curve;
  /** A consumer's wire ends at this channel. */
  consumer: boolean;
  /** Where its handle is, from 0 at the client to 1 at the node: wires of one client part before their handles. */
  handle: number;
}

export interface Scene {
  width: number;
  height: number;
  /** Narrow: a phone. */
  compact: boolean;
  nodes: PlacedNode[];
  topics: PlacedTopic[];
  channels: PlacedChannel[];
  producers: PlacedClient[];
  consumers: PlacedClient[];
  wires: PlacedWire[];
}

interface Measures {
  compact: boolean;
  edge: number;
  client: { producer: number; consumer: number };
  gap: number;
  topicWidth: number;
  fan: number;
  head: number;
  /** Height of the words at the top of a channel or consumer: one line, or two where there is no room beside. */
  words: number;
  rowMin: number;
}

const ROW_MAX = 128;
const CLIENT_GAP = 8;
const NODE_FOOT = 8;
const NODE_GAP = 8;
const HANDLE = 0.14;
const HANDLE_APART = 0.42;

/** What the layout depends on: when this text is the same, so is the scene. */
export function topologyKey(view: SimulationView): string {
  const nodes = view.nodes.map(
    (node) => `${node.name}(${node.topics.map((topic) => `${topic.name}[${topic.channels.map(({ index, name }) => `${index}${name}`).join()}]`).join()})`,
  );
  const clients = [
    ...view.producers.map(({ name, topic }) => `${name}>${topic}`),
    ...view.consumers.map(({ name, topic, channel }) => `${name}<${topic}/${channel}`),
  ];
  return `${nodes.join()} ${clients.join()} ${view.wires.map(({ client, node }) => `${client}-${node}`).join()}`;
}

export function layOut(view: SimulationView, width: number, room: number): Scene {
  const measures = measure(width);
  const rows = rowsOf(view);
  const chrome = view.nodes.length * (measures.head + NODE_FOOT + NODE_GAP) + 16 + (measures.compact ? topicsOf(view) * 26 : 0);
  const row = Math.max(measures.rowMin, Math.min(ROW_MAX, (room - chrome) / Math.max(1, rows)));
  const most = Math.max(view.producers.length, view.consumers.length);
  const height = Math.max(room, Math.ceil(chrome + row * rows), most * (34 + CLIENT_GAP) + 16);
  const scene: Scene = { width, height, compact: measures.compact, nodes: [], topics: [], channels: [], producers: [], consumers: [], wires: [] };
  placeNodes(scene, view, measures, row, chrome);
  placeProducers(scene, view, measures);
  placeConsumers(scene, view, measures);
  placeWires(scene, view);
  return scene;
}

function measure(width: number): Measures {
  if (width < 640) {
    return { compact: true, edge: 8, client: { producer: 66, consumer: 84 }, gap: Math.max(26, width * 0.08), topicWidth: 0, fan: 0, head: 30, words: 46, rowMin: 96 };
  }
  const gap = Math.max(56, Math.min(150, width * 0.11));
  return { compact: false, edge: 20, client: { producer: 124, consumer: 164 }, gap, topicWidth: 108, fan: Math.min(64, width * 0.05), head: 32, words: 30, rowMin: 65 };
}

function topicsOf(view: SimulationView): number {
  return view.nodes.reduce((sum, node) => sum + node.topics.length, 0);
}

function rowsOf(view: SimulationView): number {
  let rows = 0;
  for (const node of view.nodes) rows += Math.max(1, node.topics.reduce((sum, topic) => sum + Math.max(1, topic.channels.length), 0));
  return rows;
}

function placeNodes(scene: Scene, view: SimulationView, m: Measures, row: number, chrome: number): void {
  const x = m.edge + m.client.producer + m.gap;
  const w = scene.width - x - m.edge - m.client.consumer - m.gap;
  let y = Math.max(8, (scene.height - (chrome - 16) - row * rowsOf(view)) / 2);
  for (const node of view.nodes) {
    const top = y;
    y += m.head;
    for (const topic of node.topics) y = placeTopic(scene, node.name, topic, m, row, { x: x + 10, y, w: w - 20, h: 0 });
    if (node.topics.length === 0) y += row;
    y += NODE_FOOT;
    scene.nodes.push({ node: node.name, rect: { x, y: top, w, h: y - top } });
    y += NODE_GAP;
  }
}

/** Places a topic and its channels in the room given; the y below them. */
function placeTopic(scene: Scene, node: string, topic: SimulationView['nodes'][number]['topics'][number], m: Measures, row: number, room: Rect): number {
  const rows = Math.max(1, topic.channels.length);
  let y = room.y;
  let channelX = room.x + m.topicWidth + m.fan;
  if (m.compact) {
    scene.topics.push({ node, topic: topic.name, rect: { x: room.x, y, w: room.w, h: 24 } });
    y += 26;
    channelX = room.x;
  } else {
    const h = Math.min(64, row - 10);
    scene.topics.push({ node, topic: topic.name, rect: { x: room.x, y: y + (rows * row - h) / 2 - 3, w: m.topicWidth, h } });
  }
  const w = room.x + room.w - channelX;
  for (const channel of topic.channels) {
    const rect = { x: channelX, y, w, h: row - 8 };
    const [inner, body] = [m.compact ? 8 : 12, rect.h - m.words - 8];
    const deferredHeight = Math.max(10, Math.min(24, body * 0.34));
    scene.channels.push({
      index: channel.index,
      node,
      topic: topic.name,
      channel: channel.name,
      rect,
      queue: { x: rect.x + inner, y: rect.y + m.words, w: w - inner * 2, h: body - deferredHeight - 4 },
      deferred: { x: rect.x + inner, y: rect.y + rect.h - 7 - deferredHeight, w: w - inner * 2, h: deferredHeight },
    });
    y += row;
  }
  return topic.channels.length === 0 ? y + row : y;
}

function placeProducers(scene: Scene, view: SimulationView, m: Measures): void {
  const wanted = view.producers.map(({ topic }) => {
    const of = scene.topics.find((placed) => placed.topic === topic);
    return of ? middle(of.rect).y : scene.height / 2;
  });
  const [ys, h] = spread(wanted, scene.height, 58);
  view.producers.forEach(({ index, name }, i) => {
    const rect = { x: m.edge, y: ys[i] ?? 0, w: m.client.producer, h };
    scene.producers.push({ index, name, rect, tray: rect });
  });
}

function placeConsumers(scene: Scene, view: SimulationView, m: Measures): void {
  const placed = view.consumers.map((consumer) => {
    const channel = scene.channels.find(({ topic, channel }) => topic === consumer.topic && channel === consumer.channel);
    return { consumer, y: channel ? middle(channel.rect).y : scene.height };
  });
  placed.sort((one, other) => one.y - other.y || one.consumer.index - other.consumer.index);
  const [ys, h] = spread(placed.map(({ y }) => y), scene.height, 84);
  const x = scene.width - m.edge - m.client.consumer;
  placed.forEach(({ consumer: { index, name } }, i) => {
    const rect = { x, y: ys[i] ?? 0, w: m.client.consumer, h };
    const roomy = h >= m.words + 22;
    const tray = roomy
      ? { x: x + 10, y: rect.y + m.words - 2, w: rect.w - 20, h: h - m.words - 5 }
      : { x: x + rect.w * 0.5, y: rect.y + 6, w: rect.w * 0.5 - 8, h: h - 12 };
    scene.consumers.push({ index, name, rect, tray });
  });
}

/** Tops for boxes that would like to be centred at `wanted` (rising), without overlap; and their height. */
function spread(wanted: number[], room: number, height: number): [number[], number] {
  const each = Math.min(height, (room - 16) / Math.max(1, wanted.length) - CLIENT_GAP);
  const pitch = each + CLIENT_GAP;
  const tops: number[] = [];
  let i = 0;
  while (i < wanted.length) {
    let group = 1;
    while (i + group < wanted.length && wanted[i + group] === wanted[i]) group += 1;
    const start = (wanted[i] ?? 0) - (group * pitch - CLIENT_GAP) / 2;
    for (let k = 0; k < group; k += 1) tops.push(start + k * pitch);
    i += group;
  }
  let below = 8;
  for (let k = 0; k < tops.length; k += 1) {
    tops[k] = Math.max(tops[k] ?? 0, below);
    below = (tops[k] ?? 0) + pitch;
  }
  let above = room - 8;
  for (let k = tops.length - 1; k >= 0; k -= 1) {
    tops[k] = Math.min(tops[k] ?? 0, above - each);
    above = (tops[k] ?? 0) - CLIENT_GAP;
  }
  return [tops, each];
}

function placeWires(scene: Scene, view: SimulationView): void {
  const producers = new Map(view.producers.map((producer) => [producer.name, producer]));
  const consumers = new Map(view.consumers.map((consumer) => [consumer.name, consumer]));
  const several = new Set(view.wires.map(({ client }) => client).filter((client, i, all) => all.indexOf(client) !== i));
  for (const { index, client, node } of view.wires) {
    const box = scene.nodes.find((placed) => placed.node === node);
    if (!box) continue;
    const producer = producers.get(client);
    const consumer = consumers.get(client);
    const handle = several.has(client) ? HANDLE_APART : HANDLE;
    if (producer) {
      const at = scene.producers.find(({ name }) => name === client);
      const topic = scene.topics.find((placed) => placed.node === node && placed.topic === producer.topic);
      if (at) scene.wires.push({ index, client, node, consumer: false, handle, curve: { from: right(at.rect), to: left((topic ?? box).rect) } });
    } else if (consumer) {
      const at = scene.consumers.find(({ name }) => name === client);
      const channel = scene.channels.find((placed) => placed.node === node && placed.topic === consumer.topic && placed.channel === consumer.channel);
      if (at) scene.wires.push({ index, client, node, consumer: true, handle, curve: { from: left(at.rect), to: right((channel ?? box).rect) } });
    }
  }
}

export function middle({ x, y, w, h }: Rect): Point {
  return { x: x + w / 2, y: y + h / 2 };
}

export function left({ x, y, h }: Rect): Point {
  return { x, y: y + h / 2 };
}

export function right({ x, y, w, h }: Rect): Point {
  return { x: x + w, y: y + h / 2 };
}
