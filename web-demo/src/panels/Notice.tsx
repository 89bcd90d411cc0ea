/** A line that says what was done, or what was wrong. */
import * as store from '../state/store';

export function Notice() {
  const notice = store.notice.value;
  return (
    <div class={`notice ${notice ? 'shown' : ''} ${notice?.bad ? 'bad' : ''}`} role="status" id="notice">
      {notice?.text}
    </div>
  );
}
