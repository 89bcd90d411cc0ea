/**
 * The wires and what is on them: frame by frame, or as a flow where there are too many to follow. Bytes to the node run
 * a little below the line, bytes to the client above it.
 */
import type { Frame } from '../worker/protocol';
import { along, trace } from './geometry';
import type { PlacedWire, Scene } from './scene';
import type { Look } from './shapes';
import type { Brush, Travelling } from './trays';

const ROW = 8;
const [WIRE, TO_CLIENT, KIND, COUNT, SENT, ARRIVES, FIRST] = [0, 1, 2, 3, 4, 5, 6];
const LANE = 4;
/** More than this on the wires, and they are drawn as a flow. */
const FLOW = 1200;
/** Up to this, each says what it is. */
const NAMED = 14;
/** A batch is drawn as a train of at most this many. */
const TRAIN = 5;

const KINDS: readonly { name: string; batch: string; look?: Look }[] = [
  { name: 'PUB', batch: 'MPUB', look: 'queued' },
  { name: 'message', batch: 'messages', look: 'inFlight' },
  { name: 'FIN', batch: 'FIN', look: 'finished' },
  { name: 'REQ', batch: 'REQ', look: 'requeued' },
  { name: 'TOUCH', batch: 'TOUCH' },
  { name: 'RDY', batch: 'RDY' },
  { name: 'OK', batch: 'OK' },
  { name: '', batch: '' },
];

/** By wire: what travels on it. */
export function travellingOf(frame: Frame, scene: Scene): Map<number, Travelling> {
  const consumers = new Map(scene.consumers.map(({ name, index }) => [name, index]));
  const owners = new Map(scene.wires.map(({ index, client }) => [index, consumers.get(client)]));
  const travelling = new Map<number, Travelling>();
  const { motions } = frame;
  for (let row = 0; row + ROW <= motions.length; row += ROW) {
    const kind = motions[row + KIND] ?? 7;
    const owner = owners.get(motions[row + WIRE] ?? -1);
    if (owner === undefined || kind < 1 || kind > 3) continue;
    let of = travelling.get(owner);
    if (!of) travelling.set(owner, (of = { numbers: new Set(), newest: 0, oldest: 0 }));
    const count = motions[row + COUNT] ?? 1;
    if (count === 1) of.numbers.add(motions[row + FIRST] ?? 0);
    else if (kind === 1) of.newest += count;
    else of.oldest += count;
  }
  return travelling;
}

export function paintWires(brush: Brush, frame: Frame, scene: Scene, selected: (wire: PlacedWire) => boolean, beat: number): void {
  const { context, palette } = brush;
  const states = new Map(frame.view.wires.map(({ index, state }) => [index, state]));
  for (const wire of scene.wires) {
    const state = states.get(wire.index) ?? 'closed';
    context.beginPath();
    trace(context, wire.curve);
    context.setLineDash(state === 'connected' ? [] : state === 'connecting' ? [2, 4] : state === 'muted' ? [6, 5] : [2, 7]);
    context.strokeStyle = selected(wire) ? palette.selected : state === 'muted' || state === 'closed' ? palette.bad : palette.wire;
    context.lineWidth = selected(wire) ? 2.5 : 1.5;
    context.stroke();
  }
  context.setLineDash([]);
  const wires = new Map(scene.wires.map((wire) => [wire.index, wire]));
  if (frame.motions.length / ROW > FLOW) paintFlow(brush, frame, wires, beat);
  else paintFrames(brush, frame, wires);
}

function paintFrames(brush: Brush, { motions, view }: Frame, wires: Map<number, PlacedWire>): void {
  const named = motions.length / ROW <= NAMED;
  for (let row = 0; row + ROW <= motions.length; row += ROW) {
    const wire = wires.get(motions[row + WIRE] ?? -1);
    if (!wire) continue;
    const [sent, arrives, count] = [motions[row + SENT] ?? 0, motions[row + ARRIVES] ?? 0, motions[row + COUNT] ?? 1];
    const toClient = motions[row + TO_CLIENT] === 1;
    const done = Math.max(0, Math.min(1, (view.now - sent) / Math.max(1e-9, arrives - sent)));
    const kind = KINDS[motions[row + KIND] ?? 7] ?? { name: '', batch: '' };
    for (let car = 0; car < Math.min(TRAIN, Math.max(1, count)); car += 1) {
      const t = done - car * 0.045;
      if (t < 0) break;
      const at = along(wire.curve, toClient ? 1 - t : t);
      const y = at.y + (toClient ? -LANE : LANE);
      paintOne(brush, kind.look, at.x, y);
      if (kind.look && car === 0) brush.picks.add(at.x, y, 13, motions[row + FIRST] ?? 0);
      if (named && car === 0) {
        const text = count > 1 ? `${kind.batch} ×${count}` : kind.look && (motions[row + KIND] ?? 0) < 2 ? `${motions[row + FIRST]}` : kind.name;
        label(brush, text, at.x, y + (toClient ? -10 : 17));
      }
    }
  }
}

function paintOne({ context, sprites, palette }: Brush, look: Look | undefined, x: number, y: number): void {
  if (look) {
    sprites.stamp(context, look, x, y, 12);
    return;
  }
  context.fillStyle = palette.faint;
  context.beginPath();
  context.arc(x, y, 2.2, 0, Math.PI * 2);
  context.fill();
}

function label({ context, palette }: Brush, text: string, x: number, y: number): void {
  context.font = '500 9.5px "JetBrains Mono Variable", monospace';
  context.textAlign = 'center';
  context.fillStyle = palette.faint;
  context.fillText(text, x, y);
}

/** Too many to follow: each direction of a wire is one moving band, wider the more messages are on it. */
function paintFlow(brush: Brush, { motions }: Frame, wires: Map<number, PlacedWire>, beat: number): void {
  const bands = new Map<string, { wire: PlacedWire; toClient: boolean; look: Look; count: number }>();
  for (let row = 0; row + ROW <= motions.length; row += ROW) {
    const wire = wires.get(motions[row + WIRE] ?? -1);
    const look = KINDS[motions[row + KIND] ?? 7]?.look;
    if (!wire || !look) continue;
    const toClient = motions[row + TO_CLIENT] === 1;
    const key = `${wire.index} ${look} ${toClient}`;
    const band = bands.get(key);
    if (band) band.count += motions[row + COUNT] ?? 1;
    else bands.set(key, { wire, toClient, look, count: motions[row + COUNT] ?? 1 });
  }
  const { context, palette } = brush;
  for (const { wire, toClient, look, count } of bands.values()) {
    context.save();
    context.translate(0, (toClient ? -LANE : LANE) * (look === 'requeued' ? 2 : 1));
    context.beginPath();
    trace(context, wire.curve);
    context.strokeStyle = palette.looks[look];
    context.lineWidth = Math.min(9, 1 + Math.log2(1 + count) * 0.8);
    context.lineCap = 'round';
    context.setLineDash([1, 12]);
    context.lineDashOffset = (toClient ? beat : -beat) / 14;
    context.stroke();
    context.restore();
  }
}
