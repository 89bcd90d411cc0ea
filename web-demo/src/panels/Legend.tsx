/** What the shapes and colours mean, and the buttons that add to the picture. */
import { LOOK_NAMES, type Look } from '../draw/shapes';
import { add } from '../state/commands';
import * as store from '../state/store';
import { Button } from '../ui/Button';
import { Shape } from '../ui/Shape';

const LOOKS: readonly Look[] = ['queued', 'inFlight', 'deferred', 'requeued', 'timedOut', 'finished'];
const KINDS = ['producer', 'consumer', 'topic', 'channel'] as const;

export function Legend() {
  return (
    <div class="legend">
      <ul aria-label="Messages">
        {LOOKS.map((look) => (
          <li key={look}>
            <Shape look={look} size={12} />
            {LOOK_NAMES[look]}
          </li>
        ))}
      </ul>
      <div class="adders" role="group" aria-label="Add to the picture">
        {KINDS.map((kind, index) => (
          <Button key={kind} id={`add-${kind}`} icon="plus" tone="quiet" label={`Add a ${kind}`} shortcut={String(index + 1)} pressed={store.adding.value === kind} onClick={() => add(kind)}>
            {kind}
          </Button>
        ))}
      </div>
    </div>
  );
}
