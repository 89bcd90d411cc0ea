"""What is published reaches every channel, once and in time."""

import time

import pytest

from clients import TOPIC, assert_arrival, bodies

HELLOS = [f"hello xiaoxu {i}" for i in range(3)]


@pytest.mark.parametrize("consumers_first", [True, False])
async def test_fan_out(nsqd, clients, consumers_first):
    """Each channel gets every message, the consumers of a channel share them."""
    await nsqd.create_channels(TOPIC, "channel_a", "channel_b")
    producer = await clients.produce()
    if not consumers_first:
        await producer.publish(*HELLOS)
    a1, a2, b = (clients.consume(channel) for channel in ("channel_a", "channel_a", "channel_b"))
    if consumers_first:
        await nsqd.await_consumers(TOPIC, "channel_a", 2)
        await nsqd.await_consumers(TOPIC, "channel_b", 1)
        await producer.publish(*HELLOS)
    await nsqd.await_settled(TOPIC, "channel_a", 3)
    await nsqd.await_settled(TOPIC, "channel_b", 3)
    assert bodies(a1.deliveries, a2.deliveries) == HELLOS
    assert bodies(b.deliveries) == HELLOS


async def test_multi_publish(nsqd, clients):
    consumer = clients.consume("channel_a")
    await (await clients.produce()).multi_publish(HELLOS)
    await nsqd.await_settled(TOPIC, "channel_a", 3)
    assert bodies(consumer.deliveries) == HELLOS


async def test_deferred_publish(nsqd, clients):
    consumer = clients.consume("channel_a")
    await nsqd.await_consumers(TOPIC, "channel_a", 1)
    producer = await clients.produce()
    delay = 0.7
    asked = time.monotonic()
    await producer.deferred_publish(delay, "later")
    answered = time.monotonic()
    await producer.publish("now")
    now, later = await consumer.deliveries_of(2)
    assert (now.body, later.body) == ("now", "later")
    assert_arrival(later, asked, answered, delay)
    await nsqd.await_settled(TOPIC, "channel_a", 2)
