"""What a test gets: an nsqd of its own, and clients that are closed before the event loop is."""

import asyncio
import inspect

import pytest

from clients import Clients
from nsqd import Nsqd


@pytest.fixture
def nsqd(tmp_path, request):
    """A test that is marked with `flags` has an nsqd that was started with them."""
    flags = request.node.get_closest_marker("flags")
    nsqd = Nsqd(tmp_path, flags.args if flags else ())
    yield nsqd
    try:
        nsqd.stop()
    finally:
        print("nsqd wrote:", "".join(nsqd.log), sep="\n")


@pytest.fixture
def clients(nsqd):
    return Clients(nsqd)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs a coroutine test in an event loop of its own."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}

    async def run():
        try:
            await test(**arguments)
        finally:
            pyfuncitem.funcargs["clients"].close()

    asyncio.run(run())
    return True
