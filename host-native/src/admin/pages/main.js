// nsqadmin's pages: what is around each of them. Plain modules, as the browser loads them: nothing is built.

import { config, link } from './config.js'
import { html, render, useEffect } from './preact.js'
import { Dialogs } from './dialogs.js'
import { Header } from './header.js'
import { Help, start as listenToKeys } from './keys.js'
import { Notices, Warning } from './notices.js'
import { ChannelPage } from './page-channel.js'
import { CounterPage } from './page-counter.js'
import { LookupPage } from './page-lookup.js'
import { NodePage } from './page-node.js'
import { NodesPage } from './page-nodes.js'
import { TopicPage } from './page-topic.js'
import { TopicsPage } from './page-topics.js'
import { route, start as followLinks } from './router.js'
import { useStore } from './store.js'

/** @type {Record<string, any>} */
const PAGES = {
  topics: TopicsPage,
  topic: TopicPage,
  channel: ChannelPage,
  nodes: NodesPage,
  node: NodePage,
  counter: CounterPage,
  lookup: LookupPage,
  missing: () => html`<div class="banner"><p>There is no such page. All topics are <a href=${link()}>here</a>.</p></div>`,
}

function App() {
  const { page, names, title } = useStore(route)
  useEffect(() => {
    document.title = `${title} · nsqadmin`
  }, [title])
  return html`<${Header} page=${page} />
    <main tabindex="-1"><${Warning} /><${PAGES[page]} key=${`${page}/${names.join('/')}`} names=${names} /></main>
    <${Notices} /><${Dialogs} /><${Help} version=${config.version} />`
}

followLinks()
listenToKeys()
const app = document.getElementById('app')
if (app) {
  app.textContent = ''
  render(html`<${App} />`, app)
}
