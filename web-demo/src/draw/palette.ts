/** The style sheet's colours, for the canvas. */
import { type Look, PATHS, variable } from './shapes';

export interface Palette {
  looks: Record<Look, string>;
  wire: string;
  wireBusy: string;
  selected: string;
  ink: string;
  faint: string;
  surface: string;
  bad: string;
  onMark: string;
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const looks = Object.fromEntries(Object.keys(PATHS).map((look) => [look, colour(variable(look as Look))]));
  return {
    looks: looks as Record<Look, string>,
    wire: colour('--wire'),
    wireBusy: colour('--wire-busy'),
    selected: colour('--accent'),
    ink: colour('--ink'),
    faint: colour('--ink-3'),
    surface: colour('--surface'),
    bad: colour('--bad'),
    onMark: colour('--on-mark'),
  };
}
