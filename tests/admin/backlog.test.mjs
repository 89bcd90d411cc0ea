// The sentence that says where a backlog is: functions of a state, called in a page, where they live.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cluster } from './daemons.mjs'
import { open } from './page.mjs'

const client = (name, ready_count, in_flight_count, finish_rate) => ({ node: 'n1:1', client_id: name, hostname: name, remote_address: name, ready_count, in_flight_count, finish_rate })
const channel = (channel_name, node, depth, more = {}) => ({ channel_name, node, depth, in_flight_count: 0, deferred_count: 0, client_count: 1, paused: false, ...more })
const topic = (depth, channels, nodes, more = {}) => ({ topic_name: 't', node: '*', depth, channels, nodes, paused: false, ...more })

const TOPICS = [
  ['No message waits.', topic(0, [channel('c', '*', 0)], [topic(0, [channel('c', 'n1:1', 0)], null, { node: 'n1:1' })])],
  ['No message waits; 7 in flight and 2 deferred.', topic(0, [channel('c', '*', 0, { in_flight_count: 7, deferred_count: 2 })], [])],
  [
    '94 % of 12,300 waiting messages are in channel archive on n2:1; it has no consumer.',
    topic(0, [channel('archive', '*', 12_000, { client_count: 0 }), channel('mail', '*', 300)], [
      topic(0, [channel('archive', 'n1:1', 438, { client_count: 0 }), channel('mail', 'n1:1', 300)], null, { node: 'n1:1' }),
      topic(0, [channel('archive', 'n2:1', 11_562, { client_count: 0 }), channel('mail', 'n2:1', 0)], null, { node: 'n2:1' }),
    ]),
  ],
  [
    'All 50 waiting messages are in channel c, spread over 2 nodes; it is paused.',
    topic(0, [channel('c', '*', 50, { paused: true })], [
      topic(0, [channel('c', 'n1:1', 25, { paused: true })], null, { node: 'n1:1' }),
      topic(0, [channel('c', 'n2:1', 25, { paused: true })], null, { node: 'n2:1' }),
    ]),
  ],
  ["All 3 waiting messages are in the topic's own queue on n1:1; it has no channel.", topic(3, [], [topic(3, [], null, { node: 'n1:1' })])],
  ["All 3 waiting messages are in the topic's own queue on n1:1; the topic is paused.", topic(3, [channel('c', '*', 0)], [topic(3, [channel('c', 'n1:1', 0)], null, { node: 'n1:1' })], { paused: true })],
  [
    '1,000 messages wait in 3 places; most of them, 40 %, in channel a; 9/s come in and 3/s go out.',
    topic(0, [channel('a', '*', 400, { rate: 9, out: 3 }), channel('b', '*', 300), channel('c', '*', 300)], [topic(0, [channel('a', 'n1:1', 400), channel('b', 'n1:1', 300), channel('c', 'n1:1', 300)], null, { node: 'n1:1' })]),
  ],
]

const CHANNELS = [
  ['The one waiting message is on n1:1; it has no consumer.', { nodes: [channel('c', 'n1:1', 1, { client_count: 0 })], clients: [], depth: 1, client_count: 0 }],
  ['All 9 waiting messages are on n1:1; its 2 consumers ask for nothing (RDY 0).', { nodes: [channel('c', 'n1:1', 9, { client_count: 2 })], clients: [client('a', 0, 0), client('b', 0, 0)], depth: 9 }],
  ['All 9 waiting messages are on n1:1; its 2 consumers have all that they asked for (15 in flight, RDY 15).', { nodes: [channel('c', 'n1:1', 9, { client_count: 2 })], clients: [client('a', 10, 10, 2), client('b', 5, 5, 2)], depth: 9 }],
  ['All 9 waiting messages are on n1:1; one of its 2 consumers, b, finishes nothing and holds 5 messages.', { nodes: [channel('c', 'n1:1', 9, { client_count: 2 })], clients: [client('a', 10, 10, 50), client('b', 5, 5, 0)], depth: 9 }],
  ['67 % of 9 waiting messages are on n2:1; it has no consumer.', { nodes: [channel('c', 'n1:1', 3), channel('c', 'n2:1', 6, { client_count: 0 })], clients: [client('a', 10, 2)], depth: 9 }],
  ['All 9 waiting messages are on n1:1; its consumer has all that it asked for (1 in flight, RDY 1).', { nodes: [channel('c', 'n1:1', 9)], clients: [client('a', 1, 1)], depth: 9 }],
]

test('a sentence for each kind of backlog', async (t) => {
  const made = await cluster(t)
  const page = await open(t, made)
  const said = (name, states) =>
    page.evaluate(async ([name, states]) => {
      const backlog = await import('/static/backlog.js')
      return states.map((state) => backlog[name](state, 2000).sentence)
    }, [name, states])
  assert.deepEqual(await said('ofTopic', TOPICS.map(([, state]) => state)), TOPICS.map(([sentence]) => sentence))
  const channels = CHANNELS.map(([, more]) => ({ ...channel('c', '*', 0), client_count: more.clients.length, ...more }))
  assert.deepEqual(await said('ofChannel', channels), CHANNELS.map(([sentence]) => sentence))
})

test('how a backlog moves', async (t) => {
  const made = await cluster(t)
  const page = await open(t, made)
  const moves = (samples) => page.evaluate(async (samples) => (await import('/static/backlog.js')).trend(samples, 2000), samples)
  assert.equal(await moves([0, 20, 40, 60, 80]), 'It grows by 10/s.')
  assert.equal(await moves([1000, 980, 960, 940, 920]), 'It shrinks by 10/s: nothing left in about 1 min 32 s at this pace.')
  assert.equal(await moves([1000, 1001, 1000, 1001, 1000]), '')
  assert.equal(await moves([null, null, 5]), '')
})

test('histories of topics go on with what is pushed', async (t) => {
  const made = await cluster(t)
  const page = await open(t, made)
  const topic = (topic_name, more) => ({ topic_name, depth: 0, ...more })
  const folded = await page.evaluate(async (events) => {
    const { foldTopics } = await import('/static/history.js')
    let topics = null
    for (const event of events) topics = foldTopics(topics, event)
    return [...topics.rows.values()].map(({ topic_name, depth, samples }) => [topic_name, depth, samples.depth, samples.rate])
  }, [
    { topics: ['a', 'b', 'gone'].map((name) => topic(name, { history: { interval_ms: 2000, depth: [1, 2], rate: [0, 3] } })) },
    { partial: true, samples: 1, removed: ['gone'], topics: [topic('a', { depth: 5, append: { depth: [5], rate: [4] } })] },
    // An action is seen at once, and time has not gone on.
    { partial: true, samples: 0, removed: [], topics: [topic('a', { depth: 0, append: { depth: [], rate: [] } })] },
    { partial: true, samples: 2, removed: [], topics: [topic('b', { depth: 9, append: { depth: [8, 9], rate: [1, 1] } }), topic('new', { depth: 1, append: { depth: [1], rate: [null] } })] },
  ])
  // Of b nothing was said once: it was as before.
  assert.deepEqual(folded, [['a', 0, [1, 2, 5], [0, 3, 4]], ['b', 9, [1, 2, 2, 8, 9], [0, 3, 3, 1, 1]], ['new', 1, [1], [null]]])
})

test('numbers as people read them', async (t) => {
  const made = await cluster(t)
  const page = await open(t, made)
  const said = await page.evaluate(async () => {
    const { bytes, count, duration, listing, ordinal, percent, rate } = await import('/static/format.js')
    return [
      count(1234567), count(null), rate(0.04), rate(3.25), rate(1234.4), percent(1, 1000), percent(999, 1000), percent(5, 5),
      duration(0.085), duration(12), duration(4200), duration(192_000), duration(90_000_000), bytes(512), bytes(12_595),
      listing(['a', 'b', 'c']), listing(['a', 'b', 'c', 'd'], 3), ordinal(0.99), ordinal(0.5), ordinal(0.999), ordinal(0.91), ordinal(0.11),
    ]
  })
  assert.deepEqual(said, [
    '1,234,567', '–', '<0.1/s', '3.3/s', '1,234/s', '<1 %', '99 %', '100 %',
    '85 µs', '12 ms', '4.2 s', '3 min 12 s', '1 d 1 h', '512 B', '12 KiB',
    'a, b and c', 'a, b and 2 more', '99th', '50th', '99.9th', '91st', '11th',
  ])
})
