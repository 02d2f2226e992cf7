"""smbport.server.durability: the store is had or refused, and what outlives connections is looked after."""

import pytest
import trio

from smbport.security.auth import LogonUser
from smbport.server.durability import keep_durable, keep_sweeping, open_handle_store
from smbport.state.durable import Durability, Promise
from smbport.state.open import FileOpen
from smbport.state.session import Session
from smbport.state.settings import Settings, ShareSettings
from smbport.state.tree import TreeConnect
from smbport.testing.direct import new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access

PLAIN = ShareSettings(name="plain", path="plain")
AVAILABLE = ShareSettings(name="data", path="data", run_as="server", continuous_availability=True)


def new(settings, platform=None):
    return new_server(settings, platform or MemoryPlatform(), MemoryUsers({"ann": "secret"}))


def open_durably(server, promise, path="f"):
    """As a client makes it that is gone since."""
    share = server.find_share("data")
    session = Session(server, 1)
    session.user = LogonUser("ann", "", "user", server.authenticator.users.find_user("ann"))
    tree = TreeConnect(session, 1, share, server.platform.account, share.volume)
    node = share.volume.create(path, 3, 0o644, wait=True)
    opened = FileOpen(
        tree,
        *server.new_file_id(),
        granted_access=Access.FILE_ALL_ACCESS,
        share_access=7,
        create_options=0,
        node=node,
        path=path,
    )
    opened.shared = server.files.join(node.stat().key, opened)
    server.add_open(opened)
    opened.durability = Durability(
        promise=promise, owner="ann", client_guid=bytes(16), create_guid=bytes([len(path)]) * 16, timeout_ns=60 * 10**9
    )
    server.durable.add(opened)
    server.unsaved.note(opened)
    session.lose()
    return opened


def expire(opened):
    """Its time is over; the sweeper looks at the earliest deadline that it knows of."""
    server = opened.tree.session.server
    server.durable.reconnect(opened)
    opened.durability.timeout_ns = 1
    server.durable.restore(opened, 0)


# The store ----------------------------------------------------------------------------------------------------------


def test_without_need_there_is_no_store(tmp_path):
    assert open_handle_store(Settings(shares=(PLAIN,), handle_store=str(tmp_path / "handles"))) is None
    assert not (tmp_path / "handles").exists()


def test_where_it_is_not_said(tmp_path):
    with pytest.raises(OSError, match=r"share 'data': continuous_availability needs server\.handle_store, the file"):
        open_handle_store(Settings(shares=(PLAIN, AVAILABLE)))


def test_where_it_cannot_be(tmp_path):
    with pytest.raises(OSError, match=r"handle store .* cannot be used"):
        open_handle_store(Settings(shares=(AVAILABLE,), handle_store=str(tmp_path / "missing" / "handles")))


# Sweeping -----------------------------------------------------------------------------------------------------------


async def test_time_outs_are_looked_at(autojump_clock):
    server = new(Settings(shares=(AVAILABLE,)))
    opened = open_durably(server, Promise.RESILIENT)
    expire(opened)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_sweeping, server)
        await trio.sleep(1.5)
        assert opened.closed
        nursery.cancel_scope.cancel()


@pytest.mark.pure_only  # puts a bug into a class
async def test_a_bug_does_not_end_it(autojump_clock, monkeypatch, caplog):
    server = new(Settings(shares=(AVAILABLE,)))
    opened = open_durably(server, Promise.RESILIENT)
    expire(opened)
    with monkeypatch.context() as patch:
        patch.setattr(type(server.durable), "expired", lambda self, now_ns: 1 // 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_sweeping, server)
            await trio.sleep(2.5)
            patch.undo()
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
    assert server.bugs == 2
    assert "bug while sweeping" in caplog.text
    assert opened.closed


# From one life to the next ------------------------------------------------------------------------------------------


async def test_what_is_persistent_is_there_again(tmp_path):
    settings = Settings(shares=(AVAILABLE,), handle_store=str(tmp_path / "handles"))
    platform = MemoryPlatform()
    server = new(settings, platform)
    server.handle_store = open_handle_store(settings)
    async with keep_durable(server):
        lasting = open_durably(server, Promise.PERSISTENT, "lasting")
        passing = open_durably(server, Promise.RESILIENT, "passing")
    server.handle_store.close()
    assert (lasting.closed, passing.closed) == (False, True)
    assert platform.open_handles == 0

    server = new(settings, platform)
    server.handle_store = open_handle_store(settings)
    async with keep_durable(server):
        [again] = server.durable.disconnected()
        assert (again.persistent_id, again.path) == (lasting.persistent_id, "lasting")
        assert platform.open_handles == 1
        server.close_open(again)
    assert server.handle_store.load(wait=True) == []
    server.handle_store.close()
    assert platform.open_handles == 0


async def test_what_the_block_raises_comes_out_as_it_is():
    server = new(Settings(shares=(PLAIN, AVAILABLE)))
    opened = open_durably(server, Promise.RESILIENT)

    async def fail() -> None:
        async with keep_durable(server):
            raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        await fail()
    assert opened.closed
