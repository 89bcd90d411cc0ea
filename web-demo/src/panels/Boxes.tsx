/** The boxes of the picture: nodes, topics, channels, clients, and a handle on each wire. */
import type { ComponentChildren } from 'preact';
import { along, type Rect } from '../draw/geometry';
import type { PlacedWire, Scene } from '../draw/scene';
import { select } from '../state/commands';
import { bytes, count } from '../state/format';
import { type ChannelView, type ConsumerView, findChannel, findTopic, keyOf, type ProducerView, same, type Selection } from '../state/selection';
import * as store from '../state/store';
import { Shape } from '../ui/Shape';

/** Letters of a channel's name that leave no room for what it is. */
const LONG_NAME = 9;

export function Boxes({ scene }: { scene: Scene }) {
  const view = store.view.value;
  if (!view) return null;
  return (
    <>
      {scene.nodes.map((placed) => {
        const node = view.nodes.find(({ name }) => name === placed.node);
        if (!node) return null;
        const state = !node.up ? 'down' : node.disk.full ? 'disk full' : 'up';
        return (
          <Box key={placed.node} rect={placed.rect} class={`node ${node.up ? '' : 'down'}`} selection={{ kind: 'node', node: placed.node }} label={`Broker ${placed.node}, ${state}, ${bytes(node.disk.bytes)} on disk`}>
            <span class="head">
              <b>nsqd {placed.node}</b>
              <span class={`state ${state === 'up' ? 'good' : 'bad'}`}>{state}</span>
              <span class="muted disk">
                disk {bytes(node.disk.bytes)}
                {node.disk.unsyncedBytes > 0 ? ` · ${bytes(node.disk.unsyncedBytes)} unsynced` : ''}
              </span>
            </span>
          </Box>
        );
      })}
      {scene.topics.map((placed) => {
        const topic = findTopic(view, placed.node, placed.topic);
        if (!topic) return null;
        return (
          <Box key={`${placed.node}/${placed.topic}`} rect={placed.rect} class={`topic ${topic.paused ? 'paused' : ''}`} selection={{ kind: 'topic', node: placed.node, topic: placed.topic }} label={`Topic ${placed.topic}, depth ${topic.depth}${topic.paused ? ', paused' : ''}`}>
            <span class="kind">topic</span>
            <b>{placed.topic}</b>
            <span class="muted">{topic.paused ? 'paused · ' : ''}{topic.depth > 0 ? `${count(topic.depth)} waiting` : `${count(topic.messageCount)} ${topic.messageCount === 1 ? 'message' : 'messages'}`}</span>
          </Box>
        );
      })}
      {scene.channels.map((placed) => {
        const channel = findChannel(view, placed.node, placed.topic, placed.channel);
        return channel && <ChannelBox key={placed.index} rect={placed.rect} channel={channel} selection={{ kind: 'channel', node: placed.node, topic: placed.topic, channel: placed.channel }} />;
      })}
      {scene.producers.map(({ name, rect }) => {
        const producer = view.producers.find((one) => one.name === name);
        return producer && <ProducerBox key={name} rect={rect} producer={producer} />;
      })}
      {scene.consumers.map(({ name, rect }) => {
        const consumer = view.consumers.find((one) => one.name === name);
        return consumer && <ConsumerBox key={name} rect={rect} consumer={consumer} />;
      })}
      {scene.wires.map((wire) => (
        <WireHandle key={`${wire.client} ${wire.node}`} wire={wire} state={view.wires.find(({ index }) => index === wire.index)?.state ?? 'closed'} />
      ))}
    </>
  );
}

interface BoxProps {
  rect: Rect;
  class: string;
  selection: Selection;
  label: string;
  children: ComponentChildren;
}

function Box({ rect, class: kind, selection, label, children }: BoxProps) {
  const chosen = same(selection, store.selection.value);
  return (
    <button
      type="button"
      class={`box ${kind} ${chosen ? 'chosen' : ''}`}
      data-key={keyOf(selection)}
      style={{ left: `${rect.x}px`, top: `${rect.y}px`, width: `${rect.w}px`, height: `${rect.h}px` }}
      aria-label={label}
      aria-pressed={chosen}
      onClick={() => select(selection)}
    >
      {children}
    </button>
  );
}

function ChannelBox({ rect, channel, selection }: { rect: Rect; channel: ChannelView; selection: Selection }) {
  const notes = [channel.paused && 'paused', channel.ephemeral && 'ephemeral'].filter(Boolean).join(', ');
  const long = channel.name.length > LONG_NAME;
  return (
    <Box rect={rect} class={`channel ${channel.paused ? 'paused' : ''}`} selection={selection} label={`Channel ${channel.name}${notes ? `, ${notes}` : ''}: depth ${channel.depth}, in flight ${channel.inFlight}, deferred ${channel.deferred}`}>
      <span class="head">
        {!long && !channel.paused && <span class="kind">channel</span>}
        <b title={channel.name}>{channel.name}</b>
        {channel.paused && <span class="state">paused</span>}
        <span class="counts">
          <span title="depth: queued"><Shape look="queued" size={10} />{count(channel.depth)}</span>
          <span title="in flight"><Shape look="inFlight" size={10} />{count(channel.inFlight)}</span>
          <span title="deferred"><Shape look="deferred" size={10} />{count(channel.deferred)}</span>
        </span>
      </span>
    </Box>
  );
}

function ProducerBox({ rect, producer }: { rect: Rect; producer: ProducerView }) {
  const state = !producer.up ? 'crashed' : producer.stalled ? 'stalled' : '';
  return (
    <Box rect={rect} class={`client producer ${state} ${rect.h < 44 ? 'low' : ''}`} selection={{ kind: 'producer', name: producer.name }} label={`Producer ${producer.name}${state ? `, ${state}` : ''}, ${producer.published} published`}>
      <span class="head">
        <b>{producer.name}</b>
        {state && <span class="state bad">{state}</span>}
      </span>
      <span class="muted">{count(producer.published)} published</span>
    </Box>
  );
}

function ConsumerBox({ rect, consumer }: { rect: Rect; consumer: ConsumerView }) {
  const backoff = consumer.backoff.level > 0;
  const state = !consumer.up ? 'crashed' : consumer.stalled ? 'stalled' : backoff ? 'backoff' : '';
  return (
    <Box rect={rect} class={`client consumer ${state} ${rect.h < 52 ? 'low' : ''}`} selection={{ kind: 'consumer', name: consumer.name }} label={`Consumer ${consumer.name} of channel ${consumer.channel}${state ? `, ${state}` : ''}, ${consumer.inFlight} in flight, ready count ${consumer.ready}`}>
      <span class="head">
        <b>{consumer.name}</b>
        {state && <span class="state bad">{state}</span>}
        <span class="muted" title="ready count">RDY {count(consumer.ready)}</span>
      </span>
    </Box>
  );
}

function WireHandle({ wire, state }: { wire: PlacedWire; state: string }) {
  const selection: Selection = { kind: 'wire', client: wire.client, node: wire.node };
  const chosen = same(selection, store.selection.value);
  const at = along(wire.curve, wire.handle);
  const broken = state === 'muted' || state === 'closed';
  return (
    <button
      type="button"
      class={`handle ${chosen ? 'chosen' : ''} ${broken ? 'broken' : ''}`}
      data-key={keyOf(selection)}
      style={{ left: `${at.x}px`, top: `${at.y}px` }}
      aria-label={`Wire from ${wire.client} to ${wire.node}, ${state}`}
      aria-pressed={chosen}
      title={`wire ${wire.client} – ${wire.node}: ${state}`}
      onClick={() => select(selection)}
    />
  );
}
