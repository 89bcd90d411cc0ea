/** Where messages were drawn, so that a click finds one. */

export class Picks {
  #rows = new Float64Array(4 * 4096);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  add(x: number, y: number, size: number, message: number): void {
    if ((this.#length + 1) * 4 > this.#rows.length) {
      const larger = new Float64Array(this.#rows.length * 2);
      larger.set(this.#rows);
      this.#rows = larger;
    }
    this.#rows.set([x, y, size, message], this.#length * 4);
    this.#length += 1;
  }

  /** The message nearest to a point, if one is within reach of a finger or pointer. */
  at(x: number, y: number): number | undefined {
    let [best, found] = [Infinity, undefined as number | undefined];
    for (let i = 0; i < this.#length * 4; i += 4) {
      const away = Math.hypot((this.#rows[i] ?? 0) - x, (this.#rows[i + 1] ?? 0) - y);
      if (away <= Math.max(6, (this.#rows[i + 2] ?? 0) * 0.6) && away < best) {
        best = away;
        found = this.#rows[i + 3];
      }
    }
    return found;
  }

  /** Where a message was drawn last. */
  find(message: number): { x: number; y: number; size: number }[] {
    const found = [];
    for (let i = 0; i < this.#length * 4; i += 4) {
      if (this.#rows[i + 3] !== message) continue;
      found.push({ x: this.#rows[i] ?? 0, y: this.#rows[i + 1] ?? 0, size: this.#rows[i + 2] ?? 0 });
    }
    return found;
  }
}
