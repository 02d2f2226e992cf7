"""Running a server inside a trio program: the way the command line does it too.

async with smbport.serve({"data": "/srv/data"}, users={"alice": "secret"}) as server:
    print(server.port)
    await trio.sleep_forever()
"""

import os
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import trio

from smbport import registry
from smbport.platform import Platform
from smbport.security.auth import UserDatabase
from smbport.server.durability import keep_durable, keep_sweeping, open_handle_store
from smbport.server.listener import Listener
from smbport.server.logon import new_authenticator
from smbport.state.server import Runtime, Server
from smbport.state.settings import Settings, ShareSettings
from smbport.users import MemoryUsers

__all__ = ["Serving", "serve"]

Shares = Mapping[str, str | os.PathLike[str]] | Sequence[ShareSettings]


class Serving:
    """A server that runs."""

    def __init__(self, state: Server, listener: Listener, addresses: Sequence[tuple[str, int]]) -> None:
        self.state = state
        self.listener = listener
        self.addresses = addresses  # (address, port) of every listening socket

    @property
    def port(self) -> int:
        """The port, which was chosen by the system if 0 was asked for."""
        return self.addresses[0][1]


@asynccontextmanager
async def serve(
    shares: Shares = (),
    *,
    users: Mapping[str, str] | UserDatabase,
    settings: Settings | None = None,
    platform: Platform | str | None = None,
    listen: Sequence[tuple[str | None, int]] = (("127.0.0.1", 0),),
) -> AsyncIterator[Serving]:
    """Serve while the block runs; leaving it stops in order.

    `shares` are names with paths, or ShareSettings; they are added to those of `settings`.  `users` are names
    with passwords, or a database.  `platform` is a Platform, the name of one, or None for this system's own.
    `listen` holds (host, port) pairs; host None is every address, port 0 a free one.

    Raises OSError if a share or an address cannot be had, registry.PlatformError if there is no such platform,
    ConfigError if a keytab cannot be used.
    """
    settings = settings or Settings()
    given = shares if isinstance(shares, Sequence) else [_share(name, path) for name, path in shares.items()]
    settings = replace(settings, shares=(*settings.shares, *given))
    if settings.server_guid == bytes(16):
        settings = replace(settings, server_guid=os.urandom(16))
    if platform is None or isinstance(platform, str):
        platform = registry.find(platform)
    if platform.kernel is not None:
        raise registry.PlatformError(f"{platform.name} serves from the kernel: use smbport.control.serve_from_kernel")
    database: UserDatabase = MemoryUsers(users) if isinstance(users, Mapping) else users
    authenticator = new_authenticator(settings, database)
    runtime = Runtime(now_ns=time.time_ns, random_bytes=os.urandom, new_event=trio.Event)
    state = Server(settings, platform, authenticator, runtime)
    with ExitStack() as cleanup:
        cleanup.callback(state.lookout.close)
        for share in state.shares.values():
            if share.volume is not None:
                cleanup.callback(share.volume.close)
        sockets = list(platform.sockets.inherited())
        cleanup.callback(_close, sockets)
        for host, port in () if sockets else listen:
            sockets += _listen(platform, host, port)
        addresses = [sock.getsockname()[:2] for sock in sockets]
        state.handle_store = open_handle_store(settings)
        if state.handle_store is not None:
            cleanup.callback(state.handle_store.close)
        listener = Listener(state)
        failure: BaseException | None = None
        try:
            async with keep_durable(state), trio.open_nursery() as nursery:
                await nursery.start(listener.serve, sockets)
                nursery.start_soon(keep_sweeping, state)
                yield Serving(state, listener, addresses)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # What the caller's block raises comes out as it is, not in the group that this nursery makes of it.
            failure = group.exceptions[0] if len(group.exceptions) == 1 else group
        if failure is not None:
            raise failure


def _listen(platform: Platform, host: str | None, port: int) -> Sequence[socket.socket]:
    try:
        return platform.sockets.listen(host, port)
    except OSError as error:
        where = f"port {port}" if host is None else f"{host}, port {port}"
        message = f"cannot listen on {where}: {error.strerror or error}; choose another with --listen or server.listen"
        raise OSError(error.errno, message) from error


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _share(name: str, path: str | os.PathLike[str]) -> ShareSettings:
    return ShareSettings(name=name, path=os.fspath(path), run_as="server")
