"""pynsq readers and writers that end with their test."""

import asyncio
import pathlib
import subprocess
import sys
import time
from collections import namedtuple

import nsq

from nsqd import LATE, SLACK, until

TOPIC = "my_test_topic"
MSG_TIMEOUT = 1.0  # the shortest that nsqd grants
STUCK_CONSUMER = pathlib.Path(__file__).parent / "stuck_consumer.py"

Delivery = namedtuple("Delivery", "body attempts at")


def finish(_message):
    """The handler that is content with every message."""
    return True


def never_answer(message):
    """The handler that forgets its messages."""
    message.enable_async()


class Consumer:
    """A reader that writes down each message before the handler gets it."""

    def __init__(self, address, channel, handler=finish, max_in_flight=5, **options):
        self.deliveries = []
        self.handler = handler
        self.reader = nsq.Reader(
            TOPIC,
            channel,
            message_handler=self._handle,
            nsqd_tcp_addresses=[address],
            max_in_flight=max_in_flight,
            requeue_delay=0,
            max_backoff_duration=8,  # a step is about 0.2 s
            **{"msg_timeout": MSG_TIMEOUT, **options},
        )

    def _handle(self, message):
        self.deliveries.append(Delivery(message.body.decode(), message.attempts, time.monotonic()))
        return self.handler(message)

    async def deliveries_of(self, count):
        """The deliveries once there are at least count."""
        await until(
            lambda: len(self.deliveries) >= count,
            lambda: f"{len(self.deliveries)} of {count} deliveries",
        )
        return self.deliveries

    def close(self):
        self.reader.close()


class Producer:
    """A writer whose calls return when nsqd has answered OK."""

    def __init__(self, address, **options):
        self.writer = nsq.Writer([address], reconnect_interval=0.1, **options)

    async def connected(self):
        await until(
            lambda: any(conn.connected() for conn in self.writer.conns.values()),
            lambda: "the writer is not connected",
        )
        return self

    async def publish(self, *bodies, topic=TOPIC):
        """Sends each body with a PUB of its own."""
        for body in bodies:
            await self._send(self.writer.pub, topic, body.encode())

    async def multi_publish(self, bodies):
        await self._send(self.writer.mpub, TOPIC, [body.encode() for body in bodies])

    async def deferred_publish(self, delay, body):
        await self._send(self.writer.dpub, TOPIC, round(delay * 1000), body.encode())

    async def _send(self, command, *arguments):
        answer = asyncio.get_running_loop().create_future()
        command(*arguments, callback=lambda _conn, data: answer.set_result(data))
        data = await asyncio.wait_for(answer, LATE + 5)
        assert data == b"OK", data

    def close(self):
        for conn in list(self.writer.conns.values()):
            conn.close()


class StuckConsumer:
    """A reader in a process of its own, which tells of its first message and never answers it."""

    def __init__(self, address):
        words = [sys.executable, STUCK_CONSUMER, address]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    async def first_message(self):
        line = asyncio.to_thread(self.process.stdout.readline)
        return (await asyncio.wait_for(line, LATE + 5)).strip()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.kill()
        self.process.stdout.close()


class Clients:
    """Opens the clients of one test and closes them with it."""

    def __init__(self, nsqd):
        self.nsqd = nsqd
        self.opened = []

    def consume(self, channel, handler=finish, **options):
        return self._keep(Consumer(self.nsqd.tcp, channel, handler, **options))

    async def produce(self, **options):
        return await self._keep(Producer(self.nsqd.tcp, **options)).connected()

    def stuck_consumer(self):
        return self._keep(StuckConsumer(self.nsqd.tcp))

    def _keep(self, client):
        self.opened.append(client)
        return client

    def close(self):
        for client in self.opened:
            client.close()


def bodies(*deliveries):
    """The bodies of deliveries in order, because messages come in no promised order."""
    return sorted(d.body for part in deliveries for d in part)


def assert_arrival(delivery, after, before, delay):
    """A message came when its delay was over and not much later. When nsqd began to count is known
    only as between two moments on this side of the socket."""
    assert delivery.at >= after + delay - SLACK, f"{delivery.body} came too early"
    assert delivery.at <= before + delay + LATE, f"{delivery.body} came too late"
