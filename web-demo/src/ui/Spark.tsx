/** A little chart: the last values of a series, scaled to their own maximum. */

const [WIDTH, HEIGHT] = [72, 22];

export function Spark({ values, colour, label }: { values: readonly number[]; colour: string; label: string }) {
  const most = Math.max(1e-9, ...values);
  const step = WIDTH / 89;
  const start = WIDTH - (values.length - 1) * step;
  const points = values.map((value, i) => `${(start + i * step).toFixed(1)},${(HEIGHT - 2 - (value / most) * (HEIGHT - 5)).toFixed(1)}`);
  const line = points.length > 1 ? `M${points.join('L')}` : '';
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      <path d={`M0 ${HEIGHT - 1.5}H${WIDTH}`} stroke="var(--line)" stroke-width="1" fill="none" />
      {line && <path d={`${line}L${WIDTH},${HEIGHT - 2}L${start.toFixed(1)},${HEIGHT - 2}Z`} fill={colour} opacity="0.13" />}
      {line && <path d={line} stroke={colour} stroke-width="1.5" stroke-linejoin="round" fill="none" />}
    </svg>
  );
}
