/** A slider for one option. What it is set to is sent when the hand rests, so that a drag is one edit and not fifty. */
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { type Dial, positionOf, STEPS, valueAt } from '../state/dials';

const RESTS = 220;

interface Props {
  dial: Dial;
  /** What the simulation says it is now. */
  value: number | undefined;
  onSet(value: number): void;
}

export function DialSlider({ dial, value, onSet }: Props) {
  const id = useId();
  const [held, setHeld] = useState<number | undefined>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const known = value ?? dial.usual;
  useEffect(() => () => clearTimeout(timer.current), []);

  const turn = (position: number): void => {
    const wanted = valueAt(dial, position);
    setHeld(wanted);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      setHeld(undefined);
      onSet(wanted);
    }, RESTS);
  };

  const shown = held ?? known;
  return (
    <div class="dial">
      <label for={id} title={dial.hint}>
        {dial.label}
      </label>
      <output for={id}>{dial.show(shown)}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={STEPS}
        data-key={dial.key}
        value={positionOf(dial, shown)}
        aria-valuetext={dial.show(shown)}
        onInput={(event) => turn(event.currentTarget.valueAsNumber)}
      />
    </div>
  );
}
