/** Numbers, times and sizes as people read them. */

/** 1,234 · 12.3k · 4.5M */
export function count(value: number): string {
  if (value < 10_000) return Math.round(value).toLocaleString('en-US');
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)}k`;
  return `${(value / 1e6).toFixed(value < 1e8 ? 1 : 0)}M`;
}

export function rate(value: number): string {
  if (value === 0) return '0';
  return value < 10 ? value.toFixed(1) : count(value);
}

export function bytes(value: number): string {
  if (value < 1024) return `${Math.round(value)} B`;
  if (value < 1024 ** 2) return `${trim(value / 1024)} KiB`;
  if (value < 1024 ** 3) return `${trim(value / 1024 ** 2)} MiB`;
  return `${trim(value / 1024 ** 3)} GiB`;
}

/** A span of `ms`: 340 µs, 12.5 ms, 3.20 s, 4 min, 2 h. */
export function span(ms: number): string {
  const size = Math.abs(ms);
  if (size === 0) return '0 s';
  if (size < 1) return `${trim(ms * 1000)} µs`;
  if (size < 1000) return `${trim(ms)} ms`;
  if (size < 60_000) return `${trim(ms / 1000)} s`;
  if (size < 3_600_000) return `${trim(ms / 60_000)} min`;
  return `${trim(ms / 3_600_000)} h`;
}

/** A moment, `ms` after the start: 0:03.250, 1:02:03.250. */
export function clock(ms: number): string {
  const total = Math.max(0, ms);
  const seconds = Math.floor(total / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const tail = `${String(s).padStart(2, '0')}.${String(Math.floor(total % 1000)).padStart(3, '0')}`;
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${tail}` : `${m}:${tail}`;
}

/** A speed: 1/35×, 1×, 250×. */
export function times(speed: number): string {
  if (speed === 0) return '0×';
  if (speed >= 1) return `${speed < 10 ? trim(speed) : count(speed)}×`;
  const part = 1 / speed;
  return `1/${part < 10 ? trim(part) : count(part)}×`;
}

function trim(value: number): string {
  const size = Math.abs(value);
  const text = value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}
