/** The picture: boxes as elements of the page, so that they can be read, reached and clicked; over them the canvas. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { distance } from '../draw/geometry';
import { Painter } from '../draw/painter';
import { layOut, type Scene, topologyKey } from '../draw/scene';
import { select } from '../state/commands';
import * as store from '../state/store';
import { still, themeChanged } from '../state/theme';
import { Boxes } from './Boxes';

export function Stage() {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const painter = useRef<Painter | undefined>(undefined);
  const scene = useScene(frame);
  const shown = useRef<Scene | undefined>(undefined);
  shown.current = scene;

  useEffect(() => {
    if (!canvas.current) return undefined;
    const made = new Painter(canvas.current);
    painter.current = made;
    return startPainting(made, () => shown.current);
  }, []);

  const onPointerDown = (event: PointerEvent): void => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box || !scene) return;
    const point = { x: event.clientX - box.left, y: event.clientY - box.top };
    const message = painter.current?.picks.at(point.x, point.y);
    if (message !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      select({ kind: 'message', number: message });
      return;
    }
    if (event.target instanceof Element && event.target.closest('button')) return;
    const near = scene.wires
      .map((wire) => ({ wire, away: distance(wire.curve, point) }))
      .sort((one, other) => one.away - other.away)[0];
    select(near && near.away < 12 ? { kind: 'wire', client: near.wire.client, node: near.wire.node } : undefined);
  };

  return (
    <div class="stage" ref={frame} id="stage" onPointerDownCapture={onPointerDown}>
      {scene && (
        <div class={`scene ${scene.compact ? 'compact' : ''}`} style={{ height: `${scene.height}px` }}>
          <Boxes scene={scene} />
        </div>
      )}
      <canvas ref={canvas} aria-hidden="true" />
    </div>
  );
}

/** The layout for the room there is; the same object until topology or room change. */
function useScene(frame: { current: HTMLDivElement | null }): Scene | undefined {
  const [room, setRoom] = useState<{ width: number; height: number } | undefined>(undefined);
  const kept = useRef<{ key: string; scene: Scene } | undefined>(undefined);
  useEffect(() => {
    if (!frame.current) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setRoom({ width: Math.floor(entry.contentRect.width), height: Math.floor(entry.contentRect.height) });
    });
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);
  const view = store.view.value;
  if (!view || !room) return undefined;
  const key = `${room.width} ${room.height} ${topologyKey(view)}`;
  if (kept.current?.key !== key) kept.current = { key, scene: layOut(view, room.width, room.height) };
  return kept.current.scene;
}

/** Paints whenever there is something new to see. */
function startPainting(painter: Painter, sceneNow: () => Scene | undefined): () => void {
  let [version, dirty] = [-1, true];
  let lastScene: Scene | undefined;
  let lastSelection: unknown;
  const renew = (): void => {
    painter.renewPalette();
    dirty = true;
  };
  themeChanged.addEventListener('change', renew);
  const paint = (at: number): void => {
    handle = requestAnimationFrame(paint);
    const [scene, { frame }] = [sceneNow(), store.latest];
    if (!scene || !frame || store.flatOut.value) return;
    const selection = store.selection.value;
    if (version === store.latest.version && scene === lastScene && selection === lastSelection && !dirty && !painter.busy) return;
    const fresh = version === store.latest.version || !store.playing.value ? [] : store.latest.fresh;
    painter.resize(scene.width, scene.height);
    painter.paint(frame, scene, selection, fresh, at, still.matches);
    painted.frames += 1;
    [version, lastScene, lastSelection, dirty] = [store.latest.version, scene, selection, false];
  };
  let handle = requestAnimationFrame(paint);
  return () => {
    cancelAnimationFrame(handle);
    themeChanged.removeEventListener('change', renew);
  };
}

/** How many pictures have been painted, for those who measure. */
export const painted = { frames: 0 };
