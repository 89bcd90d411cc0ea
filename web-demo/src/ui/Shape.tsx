/** A message's shape and colour, as in the picture. */
import { type Look, PATHS, variable } from '../draw/shapes';

export function Shape({ look, size = 12 }: { look: Look; size?: number }) {
  return (
    <svg class="shape" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      <path d={PATHS[look]} fill={`var(${variable(look)})`} fill-rule="evenodd" />
    </svg>
  );
}
