// Typed events, the same in browsers and in Node.

/** Has events. `Events` maps their names to what listeners get. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>()

  /** Calls `listener` at each `event`; the returned function ends that. */
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    let listeners = this.#listeners.get(event)
    if (listeners === undefined) this.#listeners.set(event, (listeners = new Set()))
    listeners.add(listener)
    return () => this.off(event, listener)
  }

  /** Calls `listener` at the next `event`. */
  once<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    const off = this.on(event, (value) => {
      off()
      listener(value)
    })
    return off
  }

  /** Ends what {@link on} began. */
  off<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): void {
    this.#listeners.get(event)?.delete(listener)
  }

  /** @internal */
  protected has(event: keyof Events): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0
  }

  /** @internal Calls the listeners there are now. */
  protected emit<E extends keyof Events>(event: E, value: Events[E]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(value as never)
  }
}
