"""Bodies of 1 byte to 5 MB, one message at a time or thousands, to one connection or many."""

import time

import pytest

from clients import TOPIC
from nsqd import until

# Far more than a link needs on a busy machine, and far less than a heartbeat.
LONGEST_GAP = 5.0


@pytest.mark.flags("-max-msg-size", "6000000", "-max-body-size", "64000000")
@pytest.mark.parametrize(
    ("size", "count", "in_flight", "consumers"),
    [
        (1, 3000, 2500, 1),
        (1, 300, 1, 1),
        (1448, 1000, 200, 1),
        (1448, 500, 1, 10),
        (65_536, 50, 10, 1),
        (200_000, 20, 1, 1),
        (200_000, 40, 2500, 4),
        (5 << 20, 4, 2, 1),
    ],
)
async def test_bodies_of_any_size(nsqd, clients, size, count, in_flight, consumers):
    """As long as consumers finish what they get they never wait for the next. Heartbeats are rare, so
    that none of them hides a connection that sleeps."""
    await nsqd.create_channels(TOPIC, "channel_a")
    producer = await clients.produce()
    for left in range(count, 0, -10):
        await producer.multi_publish(["." * size] * min(left, 10))
    options = {"max_in_flight": in_flight, "msg_timeout": 60, "heartbeat_interval": 50}
    began = time.monotonic()
    opened = [clients.consume("channel_a", **options) for _ in range(consumers)]

    def deliveries():
        return [delivery for consumer in opened for delivery in consumer.deliveries]

    await until(
        lambda: len(deliveries()) == count,
        lambda: f"{len(deliveries())} of {count} deliveries",
    )
    times = sorted(delivery.at for delivery in deliveries())
    assert max(after - before for before, after in zip([began, *times], times)) < LONGEST_GAP
    assert {(len(delivery.body), delivery.attempts) for delivery in deliveries()} == {(size, 1)}
    await nsqd.await_settled(TOPIC, "channel_a", count)
