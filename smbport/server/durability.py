"""Running what keeps opens alive without their connections, beside the listener.

async with keep_durable(server), trio.open_nursery() as nursery:
    nursery.start_soon(keep_sweeping, server)
"""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from smbport.commands.durable import let_go, sweep
from smbport.commands.persistent import restore
from smbport.server.connection import outliving_bugs
from smbport.server.drive import run
from smbport.server.handle_store import SqliteHandleStore
from smbport.state.server import Server
from smbport.state.settings import Settings

__all__ = ["keep_durable", "keep_sweeping", "open_handle_store"]

SWEEP_S: Final = 1.0  # how often: time-outs are in the order of minutes


def open_handle_store(settings: Settings) -> SqliteHandleStore | None:
    """The store, if a share needs one.  OSError with a sentence if it cannot be had."""
    share = next((share for share in settings.shares if share.continuous_availability), None)
    if share is None:
        return None
    if settings.handle_store is None:
        needs = "needs server.handle_store, the file that remembers what is open"
        raise OSError(errno.EINVAL, f"share {share.name!r}: continuous_availability {needs}")
    return SqliteHandleStore(Path(settings.handle_store))


@asynccontextmanager
async def keep_durable(server: Server) -> AsyncIterator[None]:
    """Open what was persistently open when the last server died; at the end, close all that is not persistent."""
    threads = trio.CapacityLimiter(1)
    if server.handle_store is not None:
        await run(restore(server), threads, server.lookout)
    try:
        yield
    finally:
        with trio.CancelScope(shield=True), outliving_bugs(server, "at the end"):
            await run(let_go(server), threads, server.lookout)


async def keep_sweeping(server: Server) -> None:
    """Run until cancelled."""
    threads = trio.CapacityLimiter(1)
    while True:
        await trio.sleep(SWEEP_S)
        with outliving_bugs(server, "while sweeping"):
            await run(sweep(server), threads, server.lookout)
