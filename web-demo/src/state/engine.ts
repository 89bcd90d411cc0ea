/** The page's end of the worker. */
import * as Comlink from 'comlink';
import type { Engine } from '../worker/protocol';

/** Starts the worker; resolved when the wasm module in it is ready, rejected if it cannot be loaded. */
export function startEngine(): Promise<Comlink.Remote<Engine>> {
  const worker = new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.addEventListener('error', (event) => reject(new Error(event.message || 'the worker could not be loaded')));
    worker.addEventListener('message', function ready(event: MessageEvent<unknown>) {
      if (event.data !== 'ready') return;
      worker.removeEventListener('message', ready);
      resolve(Comlink.wrap<Engine>(worker));
    });
  });
}
