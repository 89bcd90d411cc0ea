/** What buttons and keys have in common: one function for each thing that can be done. */
import * as actions from './actions';
import * as player from './player';
import { findChannel, findTopic, type Selection } from './selection';
import * as store from './store';

/** Opens a built-in scenario and plays it. */
export async function openScenario(name: string): Promise<void> {
  if (name !== '') await player.open({ scenario: name }, true);
}

export async function nextScenario(): Promise<void> {
  const all = store.scenarios.value;
  const at = all.findIndex(({ name }) => name === store.scenario.value);
  const following = all[(at + 1) % Math.max(1, all.length)];
  if (following) await openScenario(following.name);
}

/** Opens the same scenario from the start. */
export async function goToStart(): Promise<void> {
  await player.seek({ step: 0 });
}

export async function copyLink(): Promise<void> {
  const address = await player.address();
  try {
    await navigator.clipboard.writeText(address);
    store.tell('Link copied: it opens this run at this very step');
  } catch {
    store.tell('The link is in the address bar: this page may not use the clipboard', true);
  }
}

export function select(selection: Selection | undefined): void {
  store.adding.value = undefined;
  store.selection.value = selection;
}

export function add(kind: 'producer' | 'consumer' | 'topic' | 'channel'): void {
  store.selection.value = undefined;
  store.adding.value = kind;
}

/** Pauses or goes on with the selected topic or channel; stalls or resumes the selected client. */
export async function togglePaused(selection: Selection | undefined): Promise<void> {
  const view = store.latest.frame?.view;
  if (!view || !selection) return;
  if (selection.kind === 'topic' || selection.kind === 'channel') {
    const queue =
      selection.kind === 'topic'
        ? findTopic(view, selection.node, selection.topic)
        : findChannel(view, selection.node, selection.topic, selection.channel);
    if (queue) await player.act(actions.administer(queue.paused ? 'unpause' : 'pause', selection));
  } else {
    const client = clientOf(selection);
    if (client) await player.act(actions.stall(client.name, client.stalled));
  }
}

/** Crashes the selected client or kills the selected broker; starts it again if it is down. */
export async function toggleUp(selection: Selection | undefined): Promise<void> {
  const view = store.latest.frame?.view;
  if (!view || !selection) return;
  const client = clientOf(selection);
  if (client) {
    await player.act(actions.crash(client.name, client.up));
    return;
  }
  const name = 'node' in selection ? selection.node : undefined;
  const node = view.nodes.find((node) => node.name === name);
  if (node) await player.act(actions.kill(node.name, node.up));
}

export async function empty(selection: Selection | undefined): Promise<void> {
  if (selection?.kind === 'topic' || selection?.kind === 'channel') await player.act(actions.administer('empty', selection));
}

/** Removes what is selected, if it can be. */
export async function removeSelected(selection: Selection | undefined): Promise<void> {
  if (!selection) return;
  let done = false;
  if (selection.kind === 'topic' || selection.kind === 'channel') done = await player.act(actions.administer('delete', selection));
  else if (selection.kind === 'producer' || selection.kind === 'consumer') done = await player.act(actions.remove(selection.name));
  if (done) select(undefined);
}

export async function changeWire(verb: 'cut' | 'mute' | 'heal', selection: Selection | undefined): Promise<void> {
  if (selection?.kind === 'wire') await player.act(actions.wire(verb, selection.client, selection.node));
}

function clientOf(selection: Selection) {
  const view = store.latest.frame?.view;
  if (selection.kind === 'producer') return view?.producers.find(({ name }) => name === selection.name);
  if (selection.kind === 'consumer') return view?.consumers.find(({ name }) => name === selection.name);
  return undefined;
}
