/** A button with a word, an icon, or both. Without a word its label is read out and shown as a tip. */
import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './Icon';

interface Props {
  icon?: IconName;
  /** What it does; the tip, and the name where there is no word in it. */
  label?: string;
  /** The key that does the same. */
  shortcut?: string;
  pressed?: boolean;
  disabled?: boolean;
  tone?: 'plain' | 'strong' | 'danger' | 'quiet';
  id?: string;
  onClick(): void;
  children?: ComponentChildren;
}

export function Button({ icon, label, shortcut, pressed, disabled, tone = 'plain', id, onClick, children }: Props) {
  const tip = label && shortcut ? `${label} (${shortcut})` : label;
  return (
    <button
      type="button"
      id={id}
      class={`button ${tone} ${children ? '' : 'square'}`}
      title={tip}
      aria-label={children ? undefined : label}
      aria-pressed={pressed}
      aria-keyshortcuts={shortcut}
      disabled={disabled}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
