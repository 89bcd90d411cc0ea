"""A client that asks for compression gets its messages as they are."""

from clients import TOPIC, bodies

TEXTS = [f"{i} " + "abcdefgh" * 100 * i for i in range(20)]


async def test_deflate(nsqd, clients):
    consumer = clients.consume("channel_a", deflate=True, deflate_level=6)
    producer = await clients.produce(deflate=True, deflate_level=6)
    await producer.publish(*TEXTS)
    await producer.multi_publish(TEXTS)
    await nsqd.await_settled(TOPIC, "channel_a", 2 * len(TEXTS))
    assert bodies(consumer.deliveries) == sorted(TEXTS + TEXTS)
