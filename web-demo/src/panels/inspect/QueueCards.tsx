/** A topic or a channel: numbers, and pause, empty, delete. */
import type { SimulationView } from 'sansq/simulation';
import * as actions from '../../state/actions';
import { removeSelected, select } from '../../state/commands';
import { count, span } from '../../state/format';
import type { ChannelView, Selection, TopicView } from '../../state/selection';
import { Button } from '../../ui/Button';
import { Act, Card, Facts } from './parts';

type Queue = Extract<Selection, { kind: 'topic' | 'channel' }>;

export function TopicCard({ topic, selection }: { topic: TopicView; selection: Queue }) {
  return (
    <Card kind="Topic" title={topic.name} state={topic.paused ? 'paused' : undefined}>
      <p class="about">A topic copies each message into every one of its channels.{topic.paused ? ' Paused, it keeps them.' : ''}</p>
      <Facts facts={[['depth', count(topic.depth)], ['of these on disk', count(topic.backendDepth)], ['messages', count(topic.messageCount)], ['channels', String(topic.channels.length)]]} />
      <QueueActions paused={topic.paused} selection={selection} />
    </Card>
  );
}

export function ChannelCard({ channel, selection, view }: { channel: ChannelView; selection: Queue; view: SimulationView }) {
  const state = [channel.paused && 'paused', channel.ephemeral && 'ephemeral'].filter(Boolean).join(', ') || undefined;
  return (
    <Card kind="Channel" title={channel.name} state={state}>
      <p class="about">A channel hands each message to one of its consumers, and waits for the answer.</p>
      <Facts
        facts={[
          ['depth', count(channel.depth)],
          ['of these on disk', count(channel.backendDepth)],
          ['in flight', count(channel.inFlight)],
          ['deferred', count(channel.deferred)],
          ['messages', count(channel.messageCount)],
          ['delivered', count(channel.delivered)],
          ['finished', count(channel.finished)],
          ['requeued', count(channel.requeued)],
          ['timed out', count(channel.timedOut)],
          ['delivered again', count(channel.duplicates)],
          ['dropped', count(channel.dropped)],
        ]}
      />
      <QueueActions paused={channel.paused} selection={selection} />
      <Due title="Next message timeouts" due={channel.nextTimeouts} now={view.now} />
      <Due title="Next deferred" due={channel.nextDeferred} now={view.now} />
    </Card>
  );
}

function QueueActions({ paused, selection }: { paused: boolean; selection: Queue }) {
  return (
    <div class="row">
      <Act id="pause" action={actions.administer(paused ? 'unpause' : 'pause', selection)} shortcut="P">{paused ? 'Unpause' : 'Pause'}</Act>
      <Act id="empty" action={actions.administer('empty', selection)} shortcut="E">Empty</Act>
      <Button id="remove" tone="danger" label={actions.administer('delete', selection)} shortcut="Delete" onClick={() => void removeSelected(selection)}>Delete</Button>
    </div>
  );
}

const DUE_MAX = 6;

function Due({ title, due, now }: { title: string; due: ChannelView['nextTimeouts']; now: number }) {
  if (due.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <div class="chips">
        {due.slice(0, DUE_MAX).map(({ message, at }) => (
          <Button key={message} tone="quiet" label={`Message ${message}`} onClick={() => select({ kind: 'message', number: message })}>
            #{message} <span class="muted">{span(Math.max(0, at - now))}</span>
          </Button>
        ))}
      </div>
    </>
  );
}
