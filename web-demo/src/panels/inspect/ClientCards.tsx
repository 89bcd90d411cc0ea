/** A producer or consumer: numbers, sliders, and stall, crash, reconnect. */
import type { SimulationView } from 'sansq/simulation';
import * as actions from '../../state/actions';
import { removeSelected, select } from '../../state/commands';
import { CONSUMER_DIALS, PRODUCER_DIALS } from '../../state/dials';
import { count, span } from '../../state/format';
import type { ConsumerView, ProducerView } from '../../state/selection';
import { latest } from '../../state/store';
import { Button } from '../../ui/Button';
import { Act, Card, Dials, Facts } from './parts';

export function ProducerCard({ producer }: { producer: ProducerView }) {
  const { name, up, stalled } = producer;
  return (
    <Card kind="Producer" title={name} state={stateOf(up, stalled)}>
      <Facts facts={[['topic', producer.topic], ['published', count(producer.published)], ['acknowledged', count(producer.acked)], ['failed', count(producer.failed)], ['waiting', count(producer.waiting)]]} />
      <Dials name={name} dials={PRODUCER_DIALS} options={producer.options} />
      <div class="row">
        <Act id="publish-one" action={actions.publish(name, 1)}>Publish one</Act>
        <Act id="publish-many" action={actions.publish(name, 100)}>Publish 100</Act>
      </div>
      <ClientActions name={name} up={up} stalled={stalled} kind="producer" />
    </Card>
  );
}

export function ConsumerCard({ consumer, view }: { consumer: ConsumerView; view: SimulationView }) {
  const { name, up, stalled, backoff } = consumer;
  const until = backoff.until === null ? '' : ` for ${span(Math.max(0, backoff.until - view.now))}`;
  return (
    <Card kind="Consumer" title={name} state={stateOf(up, stalled)}>
      <Facts
        facts={[
          ['channel', `${consumer.topic} / ${consumer.channel}`],
          ['in flight', `${count(consumer.inFlight)} of RDY ${count(consumer.ready)}`],
          ['received', count(consumer.received)],
          ['finished', count(consumer.finished)],
          ['requeued', count(consumer.requeued)],
          ['backoff', backoff.level > 0 ? `level ${backoff.level}${until}` : 'none'],
        ]}
      />
      <Dials name={name} dials={CONSUMER_DIALS} options={consumer.options} />
      <ClientActions name={name} up={up} stalled={stalled} kind="consumer" />
      <Held consumer={consumer.index} />
    </Card>
  );
}

function stateOf(up: boolean, stalled: boolean): string | undefined {
  return !up ? 'crashed' : stalled ? 'stalled' : undefined;
}

function ClientActions({ name, up, stalled, kind }: { name: string; up: boolean; stalled: boolean; kind: 'producer' | 'consumer' }) {
  return (
    <div class="row">
      <Act id="stall" action={actions.stall(name, stalled)} shortcut="P">{stalled ? 'Resume' : 'Stall'}</Act>
      <Act id="crash" action={actions.crash(name, up)} shortcut="K" tone={up ? 'danger' : 'plain'}>{up ? 'Crash' : 'Reconnect'}</Act>
      <Button id="remove" tone="danger" label={`remove ${name}`} shortcut="Delete" onClick={() => void removeSelected({ kind, name })}>Remove</Button>
    </div>
  );
}

const HELD_MAX = 12;

/** The messages a consumer holds, each a way to its life. */
function Held({ consumer }: { consumer: number }) {
  const dots = latest.frame?.dots;
  const held: number[] = [];
  for (let row = 0; dots && row < dots.length && held.length < HELD_MAX; row += 6) {
    if (dots[row + 2] === 1 && dots[row + 3] === consumer) held.push(dots[row + 1] ?? 0);
  }
  if (held.length === 0) return null;
  return (
    <>
      <h3>Messages in flight</h3>
      <div class="chips">
        {held.map((number) => (
          <Button key={number} tone="quiet" label={`Message ${number}`} onClick={() => select({ kind: 'message', number })}>
            #{number}
          </Button>
        ))}
      </div>
    </>
  );
}
