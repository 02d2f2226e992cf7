"""Waiting for what others than the server change, and passing it on."""

import logging
import math
from functools import partial

import trio

from smbport.commands.lookout import scan_tree
from smbport.state.ledger import HOLD_NS
from smbport.state.lookout import Lookout, TreeWish
from smbport.state.server import Server

__all__ = ["keep_watch"]

log = logging.getLogger("smbport")

HOLD_S = HOLD_NS / 1e9


async def keep_watch(server: Server, threads: trio.CapacityLimiter) -> None:
    """Run for as long as the server does."""
    lookout = server.lookout
    listening = holding = False
    async with trio.open_nursery() as nursery:
        while True:
            with trio.move_on_after(HOLD_S if holding else math.inf):
                assert isinstance(lookout.news, trio.Event)
                await lookout.news.wait()
            lookout.news = trio.Event()
            if lookout.watcher is not None and not listening:
                nursery.start_soon(_listen, lookout, lookout.watcher.fileno())
                listening = True
            try:
                holding = lookout.deliver()
                while lookout.wishes:
                    await _scan(lookout, lookout.wishes.pop(), threads)
            except Exception as bug:
                server.bugs += 1
                log.error("bug while telling of what others changed", exc_info=bug)


async def _listen(lookout: Lookout, descriptor: int) -> None:
    while True:
        await trio.lowlevel.wait_readable(descriptor)
        lookout.listen(is_early=True)


async def _scan(lookout: Lookout, wish: TreeWish, threads: trio.CapacityLimiter) -> None:
    """Attend a directory that has come into a watched tree, and those below it."""
    assert lookout.watcher is not None
    step, noted = lookout.begin(), lookout.begin_scan()
    try:
        scan = partial(scan_tree, lookout.watcher, wish.share.volume, wish.path, lookout.room(), wait=True)
        found = await trio.to_thread.run_sync(scan, limiter=threads)
        lookout.resume(step)
        lookout.scanned(wish.share, found, noted, tell=wish.tell)
    finally:
        lookout.end_scan(noted)
        lookout.end(step)
