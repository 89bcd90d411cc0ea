/** A message: its life so far, as the simulation tells it. */
import type { MessageLife } from 'sansq/simulation';
import { useEffect, useState } from 'preact/hooks';
import { bytes, clock } from '../../state/format';
import * as player from '../../state/player';
import type { Look } from '../../draw/shapes';
import { Shape } from '../../ui/Shape';
import { Card, Facts } from './parts';

type What = MessageLife['events'][number]['what'];
const LOOK: Record<What, Look> = {
  sent: 'queued', published: 'queued', put: 'queued', acked: 'finished', unacked: 'timedOut', delivered: 'inFlight', received: 'inFlight',
  touched: 'inFlight', requeued: 'requeued', refused: 'timedOut', 'timed-out': 'timedOut', deferred: 'deferred', due: 'queued',
  finished: 'finished', dropped: 'timedOut', 'sampled-out': 'timedOut', 'not-stored': 'timedOut', repeated: 'requeued',
};

export function MessageCard({ number, step }: { number: number; step: number }) {
  const [life, setLife] = useState<MessageLife | undefined>(undefined);
  useEffect(() => {
    let gone = false;
    void player.life(number).then((found) => {
      if (!gone) setLife(found);
    });
    return () => {
      gone = true;
    };
  }, [number, step]);
  if (!life) return <Card kind="Message" title={`#${number}`}><p class="muted">Nothing is known of it at this point of the run.</p></Card>;
  return (
    <Card kind="Message" title={`#${number}`}>
      <Facts facts={[['id', <code>{life.id}</code>], ['topic', life.topic], ['body', bytes(life.bytes)]]} />
      {life.body && <pre class="body">{life.body}</pre>}
      <h3>Its life so far</h3>
      <ol class="life">
        {life.events.map((event, index) => (
          <li key={index}>
            <Shape look={LOOK[event.what]} size={11} />
            <button type="button" title="Go there" onClick={() => void player.seek({ step: event.step })}>
              <time>{clock(event.at)}</time>
            </button>
            <span>{tell(event)}</span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

function tell({ what, channel, who, attempt, text }: MessageLife['events'][number]): string {
  const parts = [what.replace('-', ' ')];
  if (what === 'published' && who) parts.push(`by ${who}`);
  else if (what === 'put' && channel) parts.push(`into ${channel}`);
  else if (what === 'delivered' && who) parts.push(`to ${who}${channel ? ` from ${channel}` : ''}${attempt ? `, attempt ${attempt}` : ''}`);
  else {
    if (channel) parts.push(`in ${channel}`);
    if (who) parts.push(`by ${who}`);
  }
  if (text) parts.push(`(${text})`);
  return parts.join(' ');
}
