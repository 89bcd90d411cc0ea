/** Times as the script grammar writes them (`1.5s`, `200ms`, `3us`, `2m`) to and from ms. */

const UNITS: Record<string, number> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Also reads sums such as `1m30s`. A bare number is ms. Undefined if it is none. */
export function parseTime(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^[\d.]+$/.test(text)) return Number(text);
  if (!/^([\d.]+(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, value, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) sum += Number(value) * (UNITS[unit ?? ''] ?? 0);
  return sum;
}

/** The shortest exact spelling, to the nanosecond. */
export function writeTime(ms: number): string {
  const ns = Math.round(ms * 1e6);
  if (ns === 0) return '0s';
  if (ns % 1e9 === 0) return `${ns / 1e9}s`;
  if (ns % 1e6 === 0) return `${ns / 1e6}ms`;
  if (ns % 1e3 === 0) return `${ns / 1e3}us`;
  return `${ns}ns`;
}

/** The number at the start of an option such as `100/s`, `25%` or `1000`. */
export function parseNumber(text: string | undefined): number | undefined {
  const number = Number.parseFloat(text ?? '');
  return Number.isFinite(number) ? number : undefined;
}
