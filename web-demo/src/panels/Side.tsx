/** The right side: what is selected, what is being added, or the story. */
import { select } from '../state/commands';
import { exists } from '../state/selection';
import * as store from '../state/store';
import { Button } from '../ui/Button';
import { AddForm } from './AddForm';
import { Inspector } from './inspect/Inspector';
import { Story } from './Story';

export function Side() {
  const view = store.view.value;
  const selection = store.selection.value;
  const adding = store.adding.value;
  const inspected = view && selection && exists(view, selection) ? selection : undefined;
  return (
    <aside class="side" aria-label={inspected || adding ? 'Selected' : 'Story'}>
      {(inspected || adding) && (
        <div class="side-head">
          <Button id="deselect" icon="close" label="Back to the story" shortcut="Escape" tone="quiet" onClick={() => select(undefined)}>
            Story
          </Button>
        </div>
      )}
      {view && adding ? <AddForm key={adding} kind={adding} view={view} /> : view && inspected ? <Inspector view={view} selection={inspected} /> : <Story />}
    </aside>
  );
}
