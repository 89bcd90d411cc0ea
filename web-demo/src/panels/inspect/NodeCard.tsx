/** A broker: what it runs with, its disk, and what can befall it. */
import * as actions from '../../state/actions';
import { DISK_LATENCY, MEM_QUEUE_SIZE, MSG_TIMEOUT } from '../../state/dials';
import { bytes } from '../../state/format';
import * as player from '../../state/player';
import type { NodeView } from '../../state/selection';
import { DialSlider } from '../../ui/DialSlider';
import { Act, Card, Dials, Facts } from './parts';

export function NodeCard({ node }: { node: NodeView }) {
  const { name, up, disk, config } = node;
  return (
    <Card kind="Broker" title={`nsqd ${name}`} state={!up ? 'down' : disk.full ? 'disk full' : undefined}>
      <Facts facts={[['on disk', bytes(disk.bytes)], ['not yet synced', bytes(disk.unsyncedBytes)], ['files', String(disk.files)], ['publish is answered when', config['publish-ack'] ?? 'accepted']]} />
      <Dials name={name} dials={[MEM_QUEUE_SIZE, MSG_TIMEOUT]} options={config} />
      <div class="dials">
        <DialSlider dial={DISK_LATENCY} value={DISK_LATENCY.parse(config[DISK_LATENCY.key])} onSet={(value) => void player.act(actions.diskLatency(name, DISK_LATENCY.write(value)))} />
      </div>
      <div class="row">
        <Act id="kill" action={actions.kill(name, up)} shortcut="K" tone={up ? 'danger' : 'plain'} label={up ? 'Only what its disk has kept survives' : 'Start it from its disk'}>
          {up ? 'kill -9' : 'Start'}
        </Act>
        {up && <Act id="stop" action={actions.stop(name)} label="A graceful exit: everything is written first">Stop</Act>}
        <Act id="fill-disk" action={actions.fillDisk(name, disk.full)}>{disk.full ? 'Free the disk' : 'Fill the disk'}</Act>
      </div>
    </Card>
  );
}
