"""A small server in this process, over real sockets, that the measuring functions can be pointed at."""

import os
from collections.abc import AsyncIterator, Callable

import pytest
import trio

from benchmarks.logon import logged_on
from benchmarks.servers import Server
from benchmarks.share import make
from smbport import Limits, Settings, ShareSettings, serve
from smbport.server.listener import Listener
from smbport.server.serve import Serving
from smbport.testing.memory import MemoryPlatform

LIMITS = Limits(connections_per_address=1024, unauthenticated_per_address=128)


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    """What is measured: its files are in memory."""
    settings = Settings(
        signing="offered", shares=(ShareSettings(name="bench", path="v", run_as="server"),), limits=LIMITS
    )
    async with serve(users={"u": "p"}, settings=settings, platform=MemoryPlatform()) as serving:
        yield serving


@pytest.fixture
def server(serving: Serving) -> Server:
    """The same, as the benchmark knows it: its processes are this one."""
    return Server("smbport", "0", serving.port, os.getpid(), "u", "p", None)


@pytest.fixture
def listener(serving: Serving) -> Listener:
    """Where its connections are to be seen."""
    return serving.listener


@pytest.fixture
def do(server: Server) -> Callable[..., object]:
    """`await do(function, ...)`: call it in a thread, while the server runs."""

    async def do(function, *args, **keywords):
        return await trio.to_thread.run_sync(lambda: function(*args, **keywords))

    return do


@pytest.fixture
def populate(server: Server, do) -> Callable[..., object]:
    """`await populate("data")`: make what rows need."""

    def make_all(*needs: str) -> None:
        for need in needs:
            with logged_on(server) as connection:
                make(connection, need, server.path)

    async def populate(*needs: str) -> None:
        await do(make_all, *needs)

    return populate


@pytest.fixture
def gates() -> list[str]:
    """What a task has come to: its `append` can be made a gate."""
    return []
