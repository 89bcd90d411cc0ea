/** A short form for what is added; everything has a good answer already, so that Enter is enough. */
import type { SimulationView } from 'sansq/simulation';
import { useState } from 'preact/hooks';
import * as actions from '../state/actions';
import { select } from '../state/commands';
import * as player from '../state/player';
import type { Selection } from '../state/selection';
import { Button } from '../ui/Button';

type Kind = 'producer' | 'consumer' | 'topic' | 'channel';
const PREFIX: Record<Kind, string> = { producer: 'P', consumer: 'C', topic: 'topic', channel: 'channel' };

export function AddForm({ kind, view }: { kind: Kind; view: SimulationView }) {
  const topics = [...new Set(view.nodes.flatMap((node) => node.topics.map(({ name }) => name)))];
  const [name, setName] = useState(() => actions.freshName(view, PREFIX[kind]));
  const [node, setNode] = useState(view.nodes[0]?.name ?? '');
  const [topic, setTopic] = useState(topics[0] ?? 'events');
  const channels = channelsIn(view, topic);
  const [channel, setChannel] = useState(channels[0] ?? 'work');

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const [action, made] = write(kind, name, node, topic, channel);
    if (await player.act(action)) select(made);
  };

  return (
    <form class="card" aria-label={`Add a ${kind}`} onSubmit={(event) => void submit(event)}>
      <h2>Add a {kind}</h2>
      <Field label="Name" value={name} onInput={setName} focus />
      {kind !== 'consumer' && view.nodes.length > 1 && <Field label="Broker" value={node} options={view.nodes.map(({ name }) => name)} onInput={setNode} />}
      {kind !== 'topic' && <Field label="Topic" value={topic} options={topics} onInput={setTopic} />}
      {kind === 'consumer' && <Field label="Channel" value={channel} options={channels} onInput={setChannel} />}
      {(kind === 'topic' || kind === 'channel') && <p class="muted">A name that ends in #ephemeral is never written to disk.</p>}
      <div class="row">
        <button type="submit" class="button strong">
          Add
        </button>
        <Button tone="quiet" onClick={() => select(undefined)}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

interface FieldProps {
  label: string;
  value: string;
  options?: string[];
  focus?: boolean;
  onInput(value: string): void;
}

/** A field that takes any name and suggests those there are. */
function Field({ label, value, options, focus, onInput }: FieldProps) {
  const id = `add-${label.toLowerCase()}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        value={value}
        list={options ? `${id}-list` : undefined}
        required
        autocomplete="off"
        spellcheck={false}
        ref={(input) => {
          if (focus && input && document.activeElement === document.body) input.focus();
        }}
        onInput={(event) => onInput(event.currentTarget.value.trim())}
      />
      {options && (
        <datalist id={`${id}-list`}>
          {options.map((option) => (
            <option key={option} value={option} />
          ))}
        </datalist>
      )}
    </div>
  );
}

function channelsIn(view: SimulationView, topic: string): string[] {
  return [...new Set(view.nodes.flatMap((node) => node.topics.filter(({ name }) => name === topic).flatMap(({ channels }) => channels.map(({ name }) => name))))];
}

function write(kind: Kind, name: string, node: string, topic: string, channel: string): [string, Selection] {
  switch (kind) {
    case 'producer':
      return [actions.createProducer(name, topic, node), { kind: 'producer', name }];
    case 'consumer':
      return [actions.createConsumer(name, topic, channel), { kind: 'consumer', name }];
    case 'topic':
      return [actions.createTopic(node, name), { kind: 'topic', node, topic: name }];
    case 'channel':
      return [actions.createChannel(node, topic, name), { kind: 'channel', node, topic, channel: name }];
  }
}
