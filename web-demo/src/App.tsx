/** The page: the picture with its caption in the middle, the story or what is selected beside it, time below. */
import { Caption } from './panels/Caption';
import { Dock } from './panels/Dock';
import { Header } from './panels/Header';
import { Help } from './panels/Help';
import { Legend } from './panels/Legend';
import { Notice } from './panels/Notice';
import { Side } from './panels/Side';
import { Stage } from './panels/Stage';
import { Transport } from './panels/Transport';

export function App() {
  return (
    <>
      <Header />
      <main class="main">
        <div class="picture">
          <Caption />
          <Stage />
          <Legend />
        </div>
        <Side />
        <Dock />
        <Transport />
      </main>
      <Notice />
      <Help />
    </>
  );
}
