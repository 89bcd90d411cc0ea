/** Starts the page: theme, worker, keys, and the run that the address tells, or the first story. */
import '@fontsource-variable/inter';
import '@fontsource-variable/jetbrains-mono';
import './style.css';
import { effect } from '@preact/signals';
import { render } from 'preact';
import { App } from './App';
import { painted } from './panels/Stage';
import { startEngine } from './state/engine';
import { sample } from './state/history';
import { startKeys } from './state/keys';
import { addressLink } from './state/link';
import * as player from './state/player';
import * as store from './state/store';
import { startTheme } from './state/theme';

async function start(root: HTMLElement): Promise<void> {
  startTheme();
  const engine = await startEngine();
  await player.begin(engine);
  root.replaceChildren();
  render(<App />, root);
  startKeys();
  effect(() => {
    if (store.view.value) sample(store.view.value);
  });
  // For tests, and for whoever opens the console: the simulation behind the page.
  Object.assign(window, { sansq: { engine, store, painted } });
  const link = addressLink();
  if (link === undefined || !(await player.open({ link }, false))) {
    await player.open({ scenario: store.scenarios.value[0]?.name ?? 'first-message' }, true);
  }
}

const root = document.getElementById('app');
if (root) {
  start(root).catch((error: unknown) => {
    root.textContent = `The simulator could not be started: ${error instanceof Error ? error.message : String(error)}`;
  });
}
