/** The top of the page: what this is, which story runs, and what one does with the whole run. */
import * as player from '../state/player';
import * as store from '../state/store';
import { dark, toggleTheme } from '../state/theme';
import { Button } from '../ui/Button';
import { copyLink, openScenario } from '../state/commands';

export function Header() {
  const flat = store.flatOut.value;
  return (
    <header class="header">
      <div class="brand">
        <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
          <rect width="32" height="32" rx="8" fill="var(--accent)" />
          <path d="M7 16h6M13 16C17 16 17 9 22 9M13 16c4 0 4 7 9 7" stroke="#fff" stroke-width="2.2" fill="none" stroke-linecap="round" />
          <circle cx="8" cy="16" r="2.6" fill="#fff" />
          <circle cx="23.5" cy="9" r="2.6" fill="#fff" />
          <circle cx="23.5" cy="23" r="2.6" fill="#fff" />
        </svg>
        <h1>Sansq</h1>
        <p>The real broker core, in a simulated world</p>
      </div>
      <label class="pick">
        <span class="hidden">Story</span>
        <select
          id="scenario"
          value={store.scenario.value ?? ''}
          onChange={(event) => void openScenario(event.currentTarget.value)}
        >
          {store.scenario.value === undefined && <option value="">a run of your own</option>}
          {store.scenarios.value.map(({ name, title }) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <div class="tools">
        <Button id="flat-out" icon="bolt" label="Run flat out, without pictures" shortcut="B" pressed={flat !== undefined} onClick={player.toggleFlatOut}>
          <span class="wide">Flat out</span>
        </Button>
        <Button id="copy-link" icon="link" label="Copy a link to this very moment" shortcut="L" onClick={() => void copyLink()}>
          <span class="wide">Copy link</span>
        </Button>
        <Button id="theme" icon={dark.value ? 'sun' : 'moon'} label={dark.value ? 'Light colours' : 'Dark colours'} shortcut="T" tone="quiet" onClick={toggleTheme} />
        <Button id="help" label="Keys and help" shortcut="?" tone="quiet" onClick={() => (store.helpOpen.value = true)}>
          <span aria-hidden="true">?</span>
          <span class="hidden">Keys and help</span>
        </Button>
      </div>
    </header>
  );
}
