"""A consumer that is going to be killed: tells of each message and never answers it."""

import asyncio
import sys

from clients import Consumer, never_answer


def handle(message):
    print(message.body.decode(), message.attempts, flush=True)
    never_answer(message)


async def main(address):
    Consumer(address, "channel_a", handle)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
