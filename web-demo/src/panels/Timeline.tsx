/** The run from its start to where it has been played, with marks. Dragged back it rewinds, dragged on it plays ahead. */
import type { Mark } from 'sansq/simulation';
import { useRef } from 'preact/hooks';
import { clock } from '../state/format';
import * as player from '../state/player';
import * as store from '../state/store';

const SHOWN: Partial<Record<Mark['kind'], { lane: number; name: string }>> = {
  say: { lane: 0, name: 'story' },
  edit: { lane: 0, name: 'your edit' },
  timeout: { lane: 1, name: 'timeout' },
  requeue: { lane: 1, name: 'requeue' },
  drop: { lane: 1, name: 'drop' },
  crash: { lane: 2, name: 'crash' },
  kill: { lane: 2, name: 'kill -9' },
  start: { lane: 2, name: 'start' },
  error: { lane: 2, name: 'error' },
  violation: { lane: 2, name: 'violation' },
};
/** Marks nearer than this, in thousandths of the line, are drawn as one. */
const NEAR = 4;

export function Timeline() {
  const bar = useRef<HTMLDivElement>(null);
  const now = store.view.value?.now ?? 0;
  const end = Math.max(store.view.value?.until ?? 0, store.horizon.value, 1000);

  const seekTo = (event: PointerEvent): void => {
    const box = bar.current?.getBoundingClientRect();
    if (!box) return;
    const part = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    void player.seek({ time: part * end });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const jumps: Record<string, number> = { ArrowRight: end / 100, ArrowLeft: -end / 100, PageUp: end / 10, PageDown: -end / 10 };
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? store.horizon.value : now + (jumps[event.key] ?? 0);
    if (to === now) return;
    event.preventDefault();
    event.stopPropagation();
    void player.seek({ time: Math.max(0, Math.min(end, to)) });
  };

  return (
    <div class="timeline">
      <div
        class="track"
        ref={bar}
        id="timeline"
        role="slider"
        tabIndex={0}
        aria-label="Position in the run"
        aria-valuemin={0}
        aria-valuemax={Math.round(end)}
        aria-valuenow={Math.round(now)}
        aria-valuetext={clock(now)}
        onKeyDown={onKeyDown}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          seekTo(event);
        }}
        onPointerMove={(event) => {
          if (event.buttons & 1) seekTo(event);
        }}
      >
        <div class="rail" />
        <div class="played" style={{ width: `${(store.horizon.value / end) * 100}%` }} />
        <div class="past" style={{ width: `${(now / end) * 100}%` }} />
        {thin(store.marks.value, end).map(({ mark, at, more }) => (
          <i
            key={`${mark.step} ${mark.kind} ${at}`}
            class={`mark ${mark.kind} lane-${SHOWN[mark.kind]?.lane ?? 1}`}
            style={{ left: `${at / 10}%` }}
            title={`${clock(mark.time)} ${SHOWN[mark.kind]?.name ?? mark.kind}: ${mark.text || mark.who}${more > 0 ? ` and ${more} more` : ''}`}
          />
        ))}
        <div class="head" style={{ left: `${(now / end) * 100}%` }} />
      </div>
      <div class="ends" aria-hidden="true">
        <span>0:00</span>
        <span>{clock(end)}</span>
      </div>
    </div>
  );
}

/** One mark for each place and kind. */
function thin(marks: readonly Mark[], end: number): { mark: Mark; at: number; more: number }[] {
  const places = new Map<string, { mark: Mark; at: number; more: number }>();
  for (const mark of marks) {
    if (!SHOWN[mark.kind]) continue;
    const at = Math.round(((mark.time / end) * 1000) / NEAR) * NEAR;
    const key = `${mark.kind} ${at}`;
    const known = places.get(key);
    if (known) known.more += 1;
    else places.set(key, { mark, at, more: 0 });
  }
  return [...places.values()];
}
