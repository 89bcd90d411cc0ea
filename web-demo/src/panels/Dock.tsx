/** Below the picture: what the channels do over time, what their two priority queues wait for, what is said on the wires. */
import { select } from '../state/commands';
import { count, rate, span } from '../state/format';
import { samples, seriesOf } from '../state/history';
import { channelsOf, channelTitle, type ChannelView } from '../state/selection';
import * as store from '../state/store';
import { Spark } from '../ui/Spark';
import { Button } from '../ui/Button';
import { Frames } from './Frames';

const TABS = [
  ['channels', 'Channels'],
  ['timers', 'Deadlines'],
  ['wires', 'Wires'],
] as const;
const FRAMES_SHOWN = 40;
const DUE_SHOWN = 8;

export function Dock() {
  const shown = store.dock.value;
  return (
    <section class="dock" aria-label="Details">
      <div class="tabs" role="tablist" aria-label="Details">
        {TABS.map(([key, title]) => (
          <button key={key} type="button" role="tab" id={`tab-${key}`} aria-selected={shown === key} aria-controls="dock-panel" onClick={() => (store.dock.value = key)}>
            {title}
          </button>
        ))}
      </div>
      <div class="dock-panel" id="dock-panel" role="tabpanel" aria-labelledby={`tab-${shown}`} tabIndex={0}>
        {shown === 'channels' ? <Channels /> : shown === 'timers' ? <Timers /> : <Wires />}
      </div>
    </section>
  );
}

function Channels() {
  const view = store.view.value;
  // Read for its change: the charts follow it.
  void samples.value;
  const all = view ? channelsOf(view) : [];
  if (!view || all.length === 0) return <p class="muted">There is no channel yet.</p>;
  return (
    <table class="channels">
      <thead>
        <tr>
          <th scope="col">channel</th>
          <th scope="col">depth</th>
          <th scope="col">in flight</th>
          <th scope="col">deferred</th>
          <th scope="col">finished/s</th>
          <th scope="col">requeued</th>
          <th scope="col">timed out</th>
          <th scope="col">finished</th>
        </tr>
      </thead>
      <tbody>
        {all.map(({ node, topic, channel }) => {
          const title = channelTitle(view, node, topic, channel.name);
          const series = seriesOf(channel.index);
          return (
            <tr key={channel.index}>
              <th scope="row">
                <button type="button" class="plain-link" onClick={() => select({ kind: 'channel', node, topic, channel: channel.name })}>
                  {title}
                </button>
              </th>
              <Charted value={count(channel.depth)} values={series?.depth} colour="var(--queued)" label={`depth of ${title}`} />
              <Charted value={count(channel.inFlight)} values={series?.inFlight} colour="var(--in-flight)" label={`in flight in ${title}`} />
              <Charted value={count(channel.deferred)} values={series?.deferred} colour="var(--deferred)" label={`deferred in ${title}`} />
              <Charted value={rate(series?.rate.at(-1) ?? 0)} values={series?.rate} colour="var(--finished)" label={`finished per second in ${title}`} />
              <td>{count(channel.requeued)}</td>
              <td>{count(channel.timedOut)}</td>
              <td>{count(channel.finished)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Charted({ value, values, colour, label }: { value: string; values: readonly number[] | undefined; colour: string; label: string }) {
  return (
    <td class="charted">
      <span>{value}</span>
      <Spark values={values ?? []} colour={colour} label={label} />
    </td>
  );
}

function Timers() {
  const view = store.view.value;
  const all = view ? channelsOf(view) : [];
  const due = (pick: (channel: ChannelView) => ChannelView['nextTimeouts']) =>
    all
      .flatMap(({ node, topic, channel }) => pick(channel).map((one) => ({ ...one, where: view ? channelTitle(view, node, topic, channel.name) : '' })))
      .sort((one, other) => one.at - other.at)
      .slice(0, DUE_SHOWN);
  const now = view?.now ?? 0;
  return (
    <div class="timers">
      <Deadlines title="Message timeouts" none="Nothing is in flight." due={due((channel) => channel.nextTimeouts)} now={now} />
      <Deadlines title="Deferred messages" none="Nothing is deferred." due={due((channel) => channel.nextDeferred)} now={now} />
    </div>
  );
}

function Deadlines({ title, none, due, now }: { title: string; none: string; due: { message: number; at: number; where: string }[]; now: number }) {
  return (
    <section>
      <h3>{title}</h3>
      {due.length === 0 ? (
        <p class="muted">{none}</p>
      ) : (
        <ol class="deadlines">
          {due.map(({ message, at, where }) => (
            <li key={`${message} ${where}`}>
              <Button tone="quiet" label={`Message ${message}`} onClick={() => select({ kind: 'message', number: message })}>
                #{message}
              </Button>
              <span class="muted">{where}</span>
              <span>in {span(Math.max(0, at - now))}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Wires() {
  const view = store.view.value;
  const frames = (view?.wires ?? []).flatMap(({ client, frames }) => frames.map((frame) => ({ ...frame, client })));
  frames.sort((one, other) => other.at - one.at);
  return <Frames frames={frames.slice(0, FRAMES_SHOWN)} names />;
}
