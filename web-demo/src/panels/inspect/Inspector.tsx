/** What is selected: its numbers, what can be turned on it, and what can be done to it. */
import type { SimulationView } from 'sansq/simulation';
import { findChannel, findTopic, type Selection } from '../../state/selection';
import { ConsumerCard, ProducerCard } from './ClientCards';
import { MessageCard } from './MessageCard';
import { NodeCard } from './NodeCard';
import { ChannelCard, TopicCard } from './QueueCards';
import { WireCard } from './WireCard';

export function Inspector({ view, selection }: { view: SimulationView; selection: Selection }) {
  switch (selection.kind) {
    case 'node': {
      const node = view.nodes.find(({ name }) => name === selection.node);
      return node ? <NodeCard key={node.name} node={node} /> : null;
    }
    case 'topic': {
      const topic = findTopic(view, selection.node, selection.topic);
      return topic ? <TopicCard topic={topic} selection={selection} /> : null;
    }
    case 'channel': {
      const channel = findChannel(view, selection.node, selection.topic, selection.channel);
      return channel ? <ChannelCard channel={channel} selection={selection} view={view} /> : null;
    }
    case 'producer': {
      const producer = view.producers.find(({ name }) => name === selection.name);
      return producer ? <ProducerCard key={producer.name} producer={producer} /> : null;
    }
    case 'consumer': {
      const consumer = view.consumers.find(({ name }) => name === selection.name);
      return consumer ? <ConsumerCard key={consumer.name} consumer={consumer} view={view} /> : null;
    }
    case 'wire': {
      const wire = view.wires.find(({ client, node }) => client === selection.client && node === selection.node);
      return wire ? <WireCard key={`${wire.client} ${wire.node}`} wire={wire} /> : null;
    }
    case 'message':
      return <MessageCard key={selection.number} number={selection.number} step={view.step} />;
  }
}
