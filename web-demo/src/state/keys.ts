/** The keyboard: one table for what keys do and for the help that tells of them. */
import * as commands from './commands';
import * as player from './player';
import { changePace } from './speed';
import * as store from './store';
import { toggleTheme } from './theme';

interface Key {
  keys: string[];
  shown: string;
  does: string;
  run(): unknown;
}

const chosen = () => store.selection.value;

export const KEYS: readonly { title: string; keys: readonly Key[] }[] = [
  {
    title: 'Time',
    keys: [
      { keys: [' '], shown: 'Space', does: 'play or pause', run: player.togglePlay },
      { keys: ['.', 'ArrowRight'], shown: '→ or .', does: 'step to the next event', run: player.step },
      { keys: [',', 'ArrowLeft'], shown: '← or ,', does: 'step back', run: player.stepBack },
      { keys: ['Home'], shown: 'Home', does: 'back to the start', run: commands.goToStart },
      { keys: ['['], shown: '[', does: 'slower', run: () => changePace(1 / 2) },
      { keys: [']'], shown: ']', does: 'faster', run: () => changePace(2) },
      { keys: ['a'], shown: 'A', does: 'automatic pace', run: () => (store.pace.value = 'auto') },
      { keys: ['f'], shown: 'F', does: 'fork the run here', run: player.fork },
    ],
  },
  {
    title: 'What is selected',
    keys: [
      { keys: ['p'], shown: 'P', does: 'pause a topic or channel, stall a client', run: () => commands.togglePaused(chosen()) },
      { keys: ['k'], shown: 'K', does: 'crash a client, kill -9 a broker; again: start it', run: () => commands.toggleUp(chosen()) },
      { keys: ['e'], shown: 'E', does: 'empty a topic or channel', run: () => commands.empty(chosen()) },
      { keys: ['Delete', 'Backspace'], shown: 'Delete', does: 'remove it', run: () => commands.removeSelected(chosen()) },
      { keys: ['x'], shown: 'X', does: 'cut a wire', run: () => commands.changeWire('cut', chosen()) },
      { keys: ['m'], shown: 'M', does: 'lose what is on a wire (half-open)', run: () => commands.changeWire('mute', chosen()) },
      { keys: ['h'], shown: 'H', does: 'heal a wire', run: () => commands.changeWire('heal', chosen()) },
      { keys: ['Escape'], shown: 'Esc', does: 'select nothing', run: () => commands.select(undefined) },
    ],
  },
  {
    title: 'The page',
    keys: [
      { keys: ['1'], shown: '1 … 4', does: 'add a producer, consumer, topic, channel', run: () => commands.add('producer') },
      { keys: ['2'], shown: '', does: '', run: () => commands.add('consumer') },
      { keys: ['3'], shown: '', does: '', run: () => commands.add('topic') },
      { keys: ['4'], shown: '', does: '', run: () => commands.add('channel') },
      { keys: ['n'], shown: 'N', does: 'next story', run: commands.nextScenario },
      { keys: ['l'], shown: 'L', does: 'copy a link to this moment', run: commands.copyLink },
      { keys: ['b'], shown: 'B', does: 'run flat out, without pictures', run: player.toggleFlatOut },
      { keys: ['t'], shown: 'T', does: 'light or dark', run: toggleTheme },
      { keys: ['?'], shown: '?', does: 'this help', run: () => (store.helpOpen.value = true) },
    ],
  },
];

export function startKeys(): void {
  const table = new Map(KEYS.flatMap(({ keys }) => keys.flatMap((key) => key.keys.map((name) => [name, key] as const))));
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || store.helpOpen.value) return;
    const at = event.target instanceof HTMLElement ? event.target : undefined;
    if (at?.matches('select, input:not([type=range]), textarea')) return;
    // A focused slider keeps its arrows, a focused button its space bar.
    if (at?.matches('input, [role=slider]') && /^(Arrow|Home|End|Page)/.test(event.key)) return;
    if (at?.matches('button, summary') && event.key === ' ') return;
    const key = table.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (!key) return;
    event.preventDefault();
    void key.run();
  });
}
