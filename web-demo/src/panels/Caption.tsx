/** The sentence that the story has got to; or what flat out running has to show. */
import { count } from '../state/format';
import * as store from '../state/store';

export function Caption() {
  const view = store.view.value;
  const flat = store.flatOut.value;
  const broken = view?.violation;
  return (
    <div class={`caption ${broken ? 'broken' : ''}`} aria-live="polite">
      {broken ? (
        <p><b>An invariant does not hold.</b> {broken}</p>
      ) : flat ? (
        <p><b id="flat-rate">{count(flat.rate)}</b> deliveries a second, without pictures · {count(flat.deliveries)} so far in {count(flat.steps)} steps</p>
      ) : (
        <p id="caption">{view?.caption ?? view?.title ?? ''}</p>
      )}
    </div>
  );
}
