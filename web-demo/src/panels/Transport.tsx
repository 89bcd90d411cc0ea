/** Time: play, pause, step, speed, and below it the timeline. */
import * as commands from '../state/commands';
import { clock, times } from '../state/format';
import * as player from '../state/player';
import { POSITIONS, positionOfSpeed, speedAt } from '../state/speed';
import * as store from '../state/store';
import { Button } from '../ui/Button';
import { Timeline } from './Timeline';

export function Transport() {
  return (
    <section class="transport" aria-label="Time">
      <div class="transport-row">
        <div class="buttons">
          <Button id="start" icon="start" label="Back to the start" shortcut="Home" tone="quiet" onClick={() => void commands.goToStart()} />
          <Button id="back" icon="back" label="Step back" shortcut="," tone="quiet" onClick={() => void player.stepBack()} />
          <PlayButton />
          <Button id="step" icon="step" label="Step to the next event" shortcut="." tone="quiet" onClick={() => void player.step()} />
        </div>
        <Speed />
        <Position />
        <Branches />
      </div>
      <Timeline />
    </section>
  );
}

function PlayButton() {
  const playing = store.playing.value;
  return (
    <Button id="play" icon={playing ? 'pause' : 'play'} label={playing ? 'Pause' : 'Play'} shortcut="Space" tone="strong" onClick={player.togglePlay} />
  );
}

function Speed() {
  const pace = store.pace.value;
  const speed = pace === 'auto' ? store.speed.value : pace;
  return (
    <div class="speed">
      <label for="speed">Speed</label>
      <input
        id="speed"
        type="range"
        min={0}
        max={POSITIONS}
        value={positionOfSpeed(speed || 1)}
        aria-valuetext={times(speed)}
        onInput={(event) => (store.pace.value = speedAt(event.currentTarget.valueAsNumber))}
      />
      <output for="speed" title={store.behind.value ? 'as fast as this machine goes' : undefined}>
        {speed === 0 ? '' : times(store.behind.value ? store.speed.value : speed)}
        {store.behind.value ? ' max' : ''}
      </output>
      <Button id="auto" label="Slow while something is on a wire, quick through idle gaps" shortcut="A" tone="quiet" pressed={pace === 'auto'} onClick={() => (store.pace.value = pace === 'auto' ? 1 : 'auto')}>
        Auto
      </Button>
    </div>
  );
}

function Position() {
  const view = store.view.value;
  return (
    <dl class="position">
      <div>
        <dt>Time</dt>
        <dd id="now">{clock(view?.now ?? 0)}</dd>
      </div>
      <div>
        <dt>Step</dt>
        <dd id="at-step">{(view?.step ?? 0).toLocaleString('en-US')}</dd>
      </div>
      <div class="hash" title="Trace hash: the same run has the same one, here and on the command line">
        <dt>Hash</dt>
        <dd id="hash">{view?.hash ?? ''}</dd>
      </div>
    </dl>
  );
}

function Branches() {
  const branches = store.branches.value;
  return (
    <div class="branches" role="group" aria-label="Runs">
      {branches.length > 1 &&
        branches.map(({ name, since }, index) => (
          <Button key={name} tone="quiet" label={index === 0 ? 'The first run' : `Forked at ${clock(since)}`} pressed={store.branch.value === index} onClick={() => void player.showBranch(index)}>
            {name}
          </Button>
        ))}
      <Button id="fork" icon="fork" label="Fork: go another way from here, and keep this run" shortcut="F" tone="quiet" onClick={() => void player.fork()}>
        Fork
      </Button>
    </div>
  );
}
