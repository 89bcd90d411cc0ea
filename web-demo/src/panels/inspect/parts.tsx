/** What the cards of the inspector are made of. */
import type { ComponentChildren } from 'preact';
import { type Dial } from '../../state/dials';
import * as actions from '../../state/actions';
import * as player from '../../state/player';
import { Button } from '../../ui/Button';
import { DialSlider } from '../../ui/DialSlider';

export function Card({ kind, title, state, children }: { kind: string; title: string; state?: string | undefined; children: ComponentChildren }) {
  return (
    <section class="card" aria-label={`${kind} ${title}`}>
      <p class="kind">{kind}</p>
      <h2>
        {title}
        {state && <span class="state">{state}</span>}
      </h2>
      {children}
    </section>
  );
}

/** Numbers with their names, in columns. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Sliders for the options of a producer, consumer or node. */
export function Dials({ name, dials, options }: { name: string; dials: readonly Dial[]; options: Record<string, string> }) {
  return (
    <div class="dials">
      {dials.map((dial) => (
        <DialSlider key={dial.key} dial={dial} value={dial.parse(options[dial.key])} onSet={(value) => void player.act(actions.set(name, dial.key, dial.write(value)))} />
      ))}
    </div>
  );
}

/** A button that carries out an action. */
export function Act({ action, id, label, shortcut, tone, children }: { action: string; id: string; label?: string; shortcut?: string; tone?: 'plain' | 'danger'; children: ComponentChildren }) {
  return (
    <Button id={id} tone={tone ?? 'plain'} label={label ?? action} {...(shortcut ? { shortcut } : {})} onClick={() => void player.act(action)}>
      {children}
    </Button>
  );
}
