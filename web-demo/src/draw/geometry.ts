/** Rectangles and the curves that wires follow. */

export interface Point {
  x: number;
  y: number;
}

export interface Rect extends Point {
  w: number;
  h: number;
}

/** A cubic curve that leaves and arrives level. */
export interface Curve {
  from: Point;
  to: Point;
}

const BEND = 0.48;

export function along(curve: Curve, t: number): Point {
  const { from, to } = curve;
  const bend = (to.x - from.x) * BEND;
  const [a, b, c, d] = [(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t ** 3];
  return {
    x: a * from.x + b * (from.x + bend) + c * (to.x - bend) + d * to.x,
    y: (a + b) * from.y + (c + d) * to.y,
  };
}

export function trace(context: CanvasRenderingContext2D, curve: Curve): void {
  const bend = (curve.to.x - curve.from.x) * BEND;
  context.moveTo(curve.from.x, curve.from.y);
  context.bezierCurveTo(
    curve.from.x + bend,
    curve.from.y,
    curve.to.x - bend,
    curve.to.y,
    curve.to.x,
    curve.to.y,
  );
}

/** How far a point is from a curve, roughly; good enough for clicks. */
export function distance(curve: Curve, point: Point): number {
  let nearest = Infinity;
  for (let i = 0; i <= 24; i += 1) {
    const at = along(curve, i / 24);
    nearest = Math.min(nearest, Math.hypot(at.x - point.x, at.y - point.y));
  }
  return nearest;
}
