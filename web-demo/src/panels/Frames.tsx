/** Frames of the V2 protocol, decoded, with their bytes. */
import { clock } from '../state/format';

export interface ShownFrame {
  at: number;
  toNode: boolean;
  text: string;
  hex: string;
  client: string;
}

export function Frames({ frames, names = false }: { frames: readonly ShownFrame[]; names?: boolean }) {
  if (frames.length === 0) return <p class="muted">Nothing has been sent yet.</p>;
  return (
    <table class="frames">
      <thead class="hidden">
        <tr>
          <th scope="col">time</th>
          <th scope="col">direction</th>
          <th scope="col">frame and bytes</th>
        </tr>
      </thead>
      <tbody>
        {frames.map((frame, index) => (
          <tr key={index}>
            <td>{clock(frame.at)}</td>
            <td class={frame.toNode ? 'to' : 'from'} title={frame.toNode ? 'to the broker' : 'to the client'}>
              {names && frame.client} {frame.toNode ? '→' : '←'}
            </td>
            <td>
              <span class="text">{frame.text}</span>
              <code title={frame.hex}>{frame.hex}</code>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
