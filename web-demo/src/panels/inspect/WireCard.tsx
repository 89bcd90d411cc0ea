/** A connection: cut it, slow it, lose what is on it, heal it; and its last frames. */
import * as actions from '../../state/actions';
import { LATENCY } from '../../state/dials';
import { bytes, span } from '../../state/format';
import * as player from '../../state/player';
import type { WireView } from '../../state/selection';
import { DialSlider } from '../../ui/DialSlider';
import { Frames } from '../Frames';
import { Act, Card, Facts } from './parts';

export function WireCard({ wire }: { wire: WireView }) {
  const { client, node } = wire;
  return (
    <Card kind="Wire" title={`${client} – ${node}`} state={wire.state}>
      <Facts facts={[['to the broker', bytes(wire.bytesIn)], ['to the client', bytes(wire.bytesOut)], ['latency', span(wire.latency)]]} />
      <div class="dials">
        <DialSlider dial={LATENCY} value={wire.latency} onSet={(value) => void player.act(actions.slow(client, node, LATENCY.write(value)))} />
      </div>
      <div class="row">
        <Act id="cut" action={actions.wire('cut', client, node)} shortcut="X" tone="danger" label="Reset the connection">Cut</Act>
        <Act id="mute" action={actions.wire('mute', client, node)} shortcut="M" tone="danger" label="Half-open: bytes are lost both ways, and nobody is told">Lose</Act>
        <Act id="heal" action={actions.wire('heal', client, node)} shortcut="H">Heal</Act>
      </div>
      <h3>Last frames</h3>
      <Frames frames={wire.frames.map((frame) => ({ ...frame, client }))} />
    </Card>
  );
}
