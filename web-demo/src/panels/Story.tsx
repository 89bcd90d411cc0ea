/** What one sees on the right while nothing is selected: the story, and what to try. */
import { nextScenario } from '../state/commands';
import { clock } from '../state/format';
import * as player from '../state/player';
import * as store from '../state/store';
import { Button } from '../ui/Button';

export function Story() {
  const view = store.view.value;
  const scenario = store.scenarios.value.find(({ name }) => name === store.scenario.value);
  const now = view?.now ?? 0;
  const said = store.marks.value.filter(({ kind }) => kind === 'say');
  const current = said.findLast(({ time }) => time <= now);
  return (
    <section class="card story" aria-label="Story">
      <h2>{scenario?.title ?? view?.title ?? ''}</h2>
      <p class="about">{scenario?.about ?? 'A run of your own.'}</p>
      <ol class="said">
        {said.map((mark) => (
          <li key={`${mark.step} ${mark.text}`} class={mark === current ? 'current' : ''}>
            <button type="button" title={`Go to ${clock(mark.time)}`} onClick={() => void player.seek({ time: mark.time })}>
              <time>{clock(mark.time)}</time>
              <span>{mark.text}</span>
            </button>
          </li>
        ))}
      </ol>
      <Button id="next-story" icon="next" label="Next story" shortcut="N" onClick={() => void nextScenario()}>
        Next story
      </Button>
      <h3>Try this</h3>
      <ul class="try">
        <li>Click a consumer, then stall or crash it.</li>
        <li>Click the dot on a wire: cut it, slow it, lose what is on it.</li>
        <li>Click nsqd: kill -9 it, and start it from what its disk kept.</li>
        <li>Click a message to see its life so far.</li>
        <li>Drag the timeline back, change something, and see the other outcome.</li>
      </ul>
    </section>
  );
}
