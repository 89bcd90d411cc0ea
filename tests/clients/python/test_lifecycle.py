"""What survives: messages a stopped nsqd, ephemeral channels nobody."""

from clients import TOPIC, bodies, never_answer
from nsqd import is_empty, until


async def test_restart(nsqd, clients):
    """SIGTERM loses nothing: what is in flight, queued, deferred or in a topic without channels
    comes after the next start."""
    consumer = clients.consume("channel_a", never_answer, max_in_flight=1)
    await nsqd.await_consumers(TOPIC, "channel_a", 1)
    producer = await clients.produce()
    await producer.publish("in flight")
    await consumer.deliveries_of(1)
    await producer.publish("queued 0", "queued 1")
    await producer.deferred_publish(0.5, "deferred")
    await producer.publish("waiting", topic="no_channel_yet")
    nsqd.stop()
    nsqd.start()

    # A reader without nsqlookupd connects again only after 15 s, a writer when it is told to.
    after = clients.consume("channel_a")
    await after.deliveries_of(4)
    await nsqd.await_channel(TOPIC, "channel_a", "empty", is_empty)
    assert bodies(after.deliveries) == ["deferred", "in flight", "queued 0", "queued 1"]
    await producer.connected()
    await producer.publish("again")
    await after.deliveries_of(5)
    await nsqd.create_channels("no_channel_yet", "channel_a")
    await nsqd.await_channel(
        "no_channel_yet", "channel_a", "given its message", lambda stats: stats["depth"] == 1
    )


async def test_ephemeral_channel(nsqd, clients):
    """An ephemeral channel lives as long as it has consumers."""
    channel = "watchers#ephemeral"
    first, second = clients.consume(channel), clients.consume(channel)
    await nsqd.await_consumers(TOPIC, channel, 2)
    producer = await clients.produce()
    await producer.publish("seen")
    await nsqd.await_settled(TOPIC, channel, 1)
    first.close()
    await nsqd.await_consumers(TOPIC, channel, 1)
    await producer.publish("seen too")
    await nsqd.await_settled(TOPIC, channel, 2)
    second.close()

    async def is_gone():
        return await nsqd.channel(TOPIC, channel) is None

    await until(is_gone, lambda: "the channel is still there")
