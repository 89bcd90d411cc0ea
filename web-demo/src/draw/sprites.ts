/** Messages drawn once and stamped from then on: thousands of stamps a frame cost little, thousands of paths do not. */
import { type Look, PATHS } from './shapes';
import type { Palette } from './palette';

const paths = new Map<Look, Path2D>();

function pathOf(look: Look): Path2D {
  let path = paths.get(look);
  if (!path) paths.set(look, (path = new Path2D(PATHS[look])));
  return path;
}

export class Sprites {
  #made = new Map<string, HTMLCanvasElement>();

  constructor(
    private readonly palette: Palette,
    private readonly scale: number,
  ) {}

  /** Stamps a message of `size` with its centre at `x`, `y`. Below 5 px it is a plain square. */
  stamp(context: CanvasRenderingContext2D, look: Look, x: number, y: number, size: number): void {
    if (size < 5) {
      context.fillStyle = this.palette.looks[look];
      context.fillRect(x - size / 2, y - size / 2, Math.max(1, size - 0.5), Math.max(1, size - 0.5));
      return;
    }
    const sprite = this.#sprite(look, size);
    const side = sprite.width / this.scale;
    context.drawImage(sprite, x - side / 2, y - side / 2, side, side);
  }

  #sprite(look: Look, size: number): HTMLCanvasElement {
    const key = `${look}${size}`;
    const known = this.#made.get(key);
    if (known) return known;
    const sprite = document.createElement('canvas');
    sprite.width = sprite.height = Math.ceil((size + 2) * this.scale);
    const context = sprite.getContext('2d');
    if (context) {
      const unit = (size * this.scale) / 16;
      context.translate(sprite.width / 2 - 8 * unit, sprite.height / 2 - 8 * unit);
      context.scale(unit, unit);
      context.fillStyle = this.palette.looks[look];
      context.fill(pathOf(look), 'evenodd');
    }
    this.#made.set(key, sprite);
    return sprite;
  }
}
