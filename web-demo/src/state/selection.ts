/** What is selected in the picture, and how to find it in a view. */
import type { SimulationView } from 'sansq/simulation';

export type NodeView = SimulationView['nodes'][number];
export type TopicView = NodeView['topics'][number];
export type ChannelView = TopicView['channels'][number];
export type ProducerView = SimulationView['producers'][number];
export type ConsumerView = SimulationView['consumers'][number];
export type WireView = SimulationView['wires'][number];

export type Selection =
  | { kind: 'node'; node: string }
  | { kind: 'topic'; node: string; topic: string }
  | { kind: 'channel'; node: string; topic: string; channel: string }
  | { kind: 'producer'; name: string }
  | { kind: 'consumer'; name: string }
  | { kind: 'wire'; client: string; node: string }
  | { kind: 'message'; number: number };

/** The same text for the same thing. */
export function keyOf(selection: Selection): string {
  switch (selection.kind) {
    case 'node':
      return `node ${selection.node}`;
    case 'topic':
      return `topic ${selection.node} ${selection.topic}`;
    case 'channel':
      return `channel ${selection.node} ${selection.topic} ${selection.channel}`;
    case 'producer':
    case 'consumer':
      return `${selection.kind} ${selection.name}`;
    case 'wire':
      return `wire ${selection.client} ${selection.node}`;
    case 'message':
      return `message ${selection.number}`;
  }
}

export function same(one: Selection | undefined, other: Selection | undefined): boolean {
  return one !== undefined && other !== undefined && keyOf(one) === keyOf(other);
}

export function findTopic(view: SimulationView, node: string, topic: string): TopicView | undefined {
  return view.nodes.find(({ name }) => name === node)?.topics.find(({ name }) => name === topic);
}

export function findChannel(view: SimulationView, node: string, topic: string, channel: string): ChannelView | undefined {
  return findTopic(view, node, topic)?.channels.find(({ name }) => name === channel);
}

/** Whether what is selected is (still) there. A message may be gone and have a story to tell. */
export function exists(view: SimulationView, selection: Selection): boolean {
  switch (selection.kind) {
    case 'node':
      return view.nodes.some(({ name }) => name === selection.node);
    case 'topic':
      return findTopic(view, selection.node, selection.topic) !== undefined;
    case 'channel':
      return findChannel(view, selection.node, selection.topic, selection.channel) !== undefined;
    case 'producer':
      return view.producers.some(({ name }) => name === selection.name);
    case 'consumer':
      return view.consumers.some(({ name }) => name === selection.name);
    case 'wire':
      return view.wires.some(({ client, node }) => client === selection.client && node === selection.node);
    case 'message':
      return true;
  }
}

/** Every channel with where it is. */
export function channelsOf(view: SimulationView): { node: string; topic: string; channel: ChannelView }[] {
  return view.nodes.flatMap((node) =>
    node.topics.flatMap((topic) =>
      topic.channels.map((channel) => ({ node: node.name, topic: topic.name, channel })),
    ),
  );
}

/** A channel as a reader knows it: with its node where there are several. */
export function channelTitle(view: SimulationView, node: string, topic: string, channel: string): string {
  return view.nodes.length > 1 ? `${node} / ${topic} / ${channel}` : `${topic} / ${channel}`;
}
