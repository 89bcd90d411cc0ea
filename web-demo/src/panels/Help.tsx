/** What the page is, and its keys. */
import { useEffect, useRef } from 'preact/hooks';
import { KEYS } from '../state/keys';
import * as store from '../state/store';
import { Button } from '../ui/Button';

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = store.helpOpen.value;
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  const close = (): void => {
    store.helpOpen.value = false;
  };
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={close}>
      <h2 id="help-title">Keys and help</h2>
      <p>
        Producers publish to a topic; the topic copies each message to its channels; a channel hands each message to one of its
        consumers and waits for the answer. What runs here is the code of the nsqd daemon, compiled to WebAssembly, with a
        simulated clock, network and disk. The address in the address bar is the whole run: send it, or give what follows # to{' '}
        <code>sansq sim --run</code>.
      </p>
      <div class="keys">
        {KEYS.map(({ title, keys }) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys
                .filter(({ shown }) => shown !== '')
                .map(({ shown, does }) => (
                  <div key={shown}>
                    <dt>
                      <kbd>{shown}</kbd>
                    </dt>
                    <dd>{does}</dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
      <Button id="close-help" tone="strong" onClick={close}>
        Close
      </Button>
    </dialog>
  );
}
