"""One nsqd process per test, on ports and a data path of its own."""

import asyncio
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import threading
import time
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient

# Bounds every wait for something that must happen but has no due time.
DEADLINE = 10.0
# How far the clocks of two processes may be apart.
SLACK = 0.01
# How long after its due time a message may arrive. SANSQ_LATE_MS raises it for an nsqd that only
# looks at its timers now and then.
LATE = int(os.environ.get("SANSQ_LATE_MS") or 2000) / 1000

RELEASE_BUILD = pathlib.Path(__file__).parents[3] / "target/release/nsqd"
# The address that nsqd listens on. SANSQ_HOST names another one, where nsqd runs on another host than
# the clients.
HOST = os.environ.get("SANSQ_HOST") or "127.0.0.1"
LISTENING = re.compile(rf"(TCP|HTTP): listening on ({re.escape(HOST)}:\d+)")


class Nsqd:
    """The nsqd under test: the command in SANSQ_NSQD, or the workspace's release build."""

    def __init__(self, data_path, flags=()):
        self.command = shlex.split(os.environ.get("SANSQ_NSQD") or str(RELEASE_BUILD))
        self.data_path = str(data_path)
        self.flags = list(flags)
        self.addresses = {"TCP": f"{HOST}:0", "HTTP": f"{HOST}:0"}
        self.log = []
        self.process = None
        self.start()

    @property
    def tcp(self):
        return self.addresses["TCP"]

    def start(self):
        """Runs nsqd and learns its ports from its log; a second start uses the same ports."""
        options = {
            "-data-path": self.data_path,
            "-tcp-address": self.addresses["TCP"],
            "-http-address": self.addresses["HTTP"],
        }
        words = self.command + [word for option in options.items() for word in option] + self.flags
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        listens = threading.Event()
        self.reader = threading.Thread(target=self._read_log, args=(listens,), daemon=True)
        self.reader.start()
        listening = listens.wait(DEADLINE)
        assert listening and self.process.poll() is None, f"nsqd does not listen: {self.log}"

    def _read_log(self, listens):
        learnt = set()
        for line in self.process.stderr:
            if "GET /stats" not in line:
                self.log.append(line)
            if match := LISTENING.search(line):
                self.addresses[match[1]] = match[2]
                learnt.add(match[1])
                if learnt == {"TCP", "HTTP"}:
                    listens.set()
        listens.set()

    def stop(self):
        """Sends SIGTERM and expects exit status 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.reader.join()
            self.process.stderr.close()
        assert status == 0, f"nsqd ended with {status}"

    async def create_channels(self, topic, *channels):
        """Makes a topic and its channels before anybody is connected."""
        await self._fetch("/topic/create", topic=topic, method="POST")
        for channel in channels:
            await self._fetch("/channel/create", topic=topic, channel=channel, method="POST")

    async def channel(self, topic, channel):
        """The statistics of a channel, None without such a channel."""
        response = await self._fetch("/stats", format="json", topic=topic, channel=channel)
        channels = [c for t in json.loads(response.body)["topics"] or [] for c in t["channels"]]
        return next((c for c in channels if c["channel_name"] == channel), None)

    async def _fetch(self, path, method="GET", **query):
        url = f"http://{self.addresses['HTTP']}{path}?{urlencode(query)}"
        body = "" if method == "POST" else None
        return await AsyncHTTPClient().fetch(url, method=method, body=body)

    async def await_channel(self, topic, channel, what, condition):
        """Polls a channel's statistics until they satisfy a condition, and returns them."""
        stats = None

        async def check():
            nonlocal stats
            stats = await self.channel(topic, channel)
            return stats is not None and condition(stats)

        await until(check, lambda: f"{topic}:{channel} is not {what}: {stats}")
        return stats

    async def await_settled(self, topic, channel, count):
        """Waits until count messages have come to the channel and none of them is queued, in flight
        or deferred. After that none can be delivered again. A restart sets the count to 0."""
        return await self.await_channel(
            topic,
            channel,
            f"done with {count} messages",
            lambda stats: stats["message_count"] == count and is_empty(stats),
        )

    async def await_consumers(self, topic, channel, count):
        """Waits until a channel has so many connected consumers that take messages."""
        return await self.await_channel(
            topic,
            channel,
            f"consumed by {count}",
            lambda stats: sum(client["ready_count"] > 0 for client in stats["clients"]) == count,
        )


def is_empty(stats):
    return not (stats["depth"] or stats["in_flight_count"] or stats["deferred_count"])


async def until(check, missing, timeout=DEADLINE + LATE):
    """Calls check, a function or coroutine function, until it is true. If that takes too long the
    test fails with the text that missing() returns."""
    end = time.monotonic() + timeout
    while True:
        result = check()
        if await result if asyncio.iscoroutine(result) else result:
            return
        assert time.monotonic() < end, f"after {timeout} s: {missing()}"
        await asyncio.sleep(0.01)
