/**
 * What the user does, as lines of the script grammar: the link and the command line replay the same text. Nothing here
 * knows what an action does.
 */
import type { SimulationView } from 'sansq/simulation';
import type { Selection } from './selection';

export const set = (name: string, key: string, value: string): string => `set ${name} ${key}=${value}`;
export const remove = (name: string): string => `remove ${name}`;
export const stall = (name: string, stalled: boolean): string => `${stalled ? 'resume' : 'stall'} ${name}`;
export const crash = (name: string, up: boolean): string => `${up ? 'crash' : 'connect'} ${name}`;
export const kill = (node: string, up: boolean): string => `${up ? 'kill' : 'start'} ${node}`;
export const stop = (node: string): string => `stop ${node}`;
export const fillDisk = (node: string, full: boolean): string => `${full ? 'free-disk' : 'fill-disk'} ${node}`;
export const diskLatency = (node: string, latency: string): string => `disk ${node} latency=${latency}`;
export const wire = (verb: 'cut' | 'mute' | 'heal', client: string, node: string): string => `${verb} ${client} ${node}`;
export const slow = (client: string, node: string, latency: string): string => `slow ${client} ${node} latency=${latency}`;
export const publish = (producer: string, count: number): string => `publish ${producer} count=${count}`;

type Queue = Extract<Selection, { kind: 'topic' | 'channel' }>;

/** `pause`, `unpause`, `empty` or `delete` for a topic or channel. */
export function administer(verb: 'pause' | 'unpause' | 'empty' | 'delete', queue: Queue): string {
  return [verb, queue.node, queue.topic, ...(queue.kind === 'channel' ? [queue.channel] : [])].join(' ');
}

export const createTopic = (node: string, topic: string): string => `topic ${node} ${topic}`;
export const createChannel = (node: string, topic: string, channel: string): string => `channel ${node} ${topic} ${channel}`;
export const createProducer = (name: string, topic: string, node: string): string =>
  `producer ${name} topic=${topic} rate=2/s size=100 node=${node}`;
export const createConsumer = (name: string, topic: string, channel: string): string =>
  `consumer ${name} topic=${topic} channel=${channel} max-in-flight=2 handler=500ms`;

/** A name that nobody has: `prefix` and the first number that is free. */
export function freshName(view: SimulationView, prefix: string): string {
  const taken = new Set([
    ...view.nodes.flatMap((node) => [node.name, ...node.topics.flatMap((topic) => [topic.name, ...topic.channels.map(({ name }) => name)])]),
    ...view.producers.map(({ name }) => name),
    ...view.consumers.map(({ name }) => name),
  ]);
  let number = 1;
  while (taken.has(`${prefix}${number}`)) number += 1;
  return `${prefix}${number}`;
}
