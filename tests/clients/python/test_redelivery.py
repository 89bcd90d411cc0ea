"""What a consumer does not finish comes again."""

import asyncio
import time

from clients import MSG_TIMEOUT, TOPIC, assert_arrival, bodies, finish, never_answer


def ready_is(count):
    return lambda stats: [client["ready_count"] for client in stats["clients"]] == [count]


async def test_failing_handler(nsqd, clients):
    """A handler's error requeues the message and makes the consumer back off to RDY 0."""

    def handle(message):
        if message.body == b"hard" and message.attempts < 3:
            raise RuntimeError("not yet")
        return True

    consumer = clients.consume("channel_a", handle)
    await nsqd.await_consumers(TOPIC, "channel_a", 1)
    producer = await clients.produce()
    await producer.publish("hard")
    await nsqd.await_channel(TOPIC, "channel_a", "backed off", ready_is(0))
    deliveries = await consumer.deliveries_of(3)
    assert [(d.body, d.attempts) for d in deliveries] == [("hard", n) for n in (1, 2, 3)]
    stats = await nsqd.await_settled(TOPIC, "channel_a", 1)
    assert (stats["requeue_count"], stats["timeout_count"]) == (2, 0)
    # Each success takes back one step of the backoff, the second one ends it.
    await producer.publish("easy")
    await nsqd.await_channel(TOPIC, "channel_a", "ready again", ready_is(5))


async def test_silent_handler(nsqd, clients):
    """A message without an answer comes again when its time is over."""

    def handle(message):
        return never_answer(message) if message.attempts == 1 else finish(message)

    consumer = clients.consume("channel_a", handle)
    producer = await clients.produce()
    published = time.monotonic()
    await producer.publish("forgotten")
    first, second = await consumer.deliveries_of(2)
    assert (first.attempts, second.attempts) == (1, 2)
    assert_arrival(second, published, first.at, MSG_TIMEOUT)
    stats = await nsqd.await_settled(TOPIC, "channel_a", 1)
    assert (stats["requeue_count"], stats["timeout_count"]) == (0, 1)


async def test_touch(nsqd, clients):
    """TOUCH gives a slow handler more time, so nobody else gets its message."""

    async def handle(message):
        for _ in range(12):
            await asyncio.sleep(MSG_TIMEOUT / 5)
            message.touch()
        return True

    consumer = clients.consume("channel_a", handle)
    await (await clients.produce()).publish("slow")
    stats = await nsqd.await_settled(TOPIC, "channel_a", 1)
    assert stats["timeout_count"] == 0
    assert bodies(consumer.deliveries) == ["slow"]


async def test_killed_consumer(nsqd, clients):
    """What a killed consumer was working on goes to another one."""
    stuck = clients.stuck_consumer()
    await nsqd.await_consumers(TOPIC, "channel_a", 1)
    await (await clients.produce()).publish("orphan")
    assert await stuck.first_message() == "orphan 1"
    heir = clients.consume("channel_a")
    await nsqd.await_consumers(TOPIC, "channel_a", 2)
    stuck.kill()
    (delivery,) = await heir.deliveries_of(1)
    assert (delivery.body, delivery.attempts) == ("orphan", 2)
    await nsqd.await_settled(TOPIC, "channel_a", 1)
