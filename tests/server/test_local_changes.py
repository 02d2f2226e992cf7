"""What local programs do to a served folder, as clients hear of it: a whole server, a real folder, inotify."""

import os
import sys
from collections.abc import Callable

import pytest
import trio

from smbport.state.settings import Limits, Settings, ShareSettings
from smbport.testing.client import FileId
from smbport.testing.faults import Faults
from smbport.wire.change import (
    ChangeNotifyFlag,
    ChangeNotifyRequest,
    ChangeNotifyResponse,
    CompletionFilter,
    NotifyAction,
    change_notify_output,
    parse_notify_information,
)
from smbport.wire.constants import Access, Command, ContextTag, CreateDisposition, CreateOption, OplockLevel
from smbport.wire.create_contexts import LeaseContextV2, LeaseState
from smbport.wire.header import HEADER_SIZE
from smbport.wire.status import Status

if sys.platform != "linux":
    pytest.skip("needs the Linux port", allow_module_level=True)

from smbport_linux.platform import probe

KEY = b"k" * 16
READ, HANDLE, WRITE = LeaseState.READ_CACHING, LeaseState.HANDLE_CACHING, LeaseState.WRITE_CACHING
ALL = 0xFFF
ADDED, REMOVED, MODIFIED = NotifyAction.ADDED, NotifyAction.REMOVED, NotifyAction.MODIFIED
OLD, NEW = NotifyAction.RENAMED_OLD_NAME, NotifyAction.RENAMED_NEW_NAME


class Scene:
    """A server, a client, and the folder as local programs see it."""

    def __init__(self, world, folder, peer, tree):
        self.world, self.folder, self.peer, self.tree = world, folder, peer, tree

    async def open(self, name: str, state: int = 0, **keywords) -> FileId:
        contexts = []
        if state:
            lease = LeaseContextV2(lease_key=KEY, lease_state=state, epoch=1).pack()
            contexts, keywords["oplock"] = [(ContextTag.LEASE, lease)], OplockLevel.LEASE
        keywords.setdefault("disposition", CreateDisposition.OPEN_IF)
        keywords.setdefault("access", Access.FILE_ALL_ACCESS)
        return await self.peer.do(self.peer.create, self.tree, name, contexts=contexts, **keywords)

    async def directory(self, name: str = "", state: int = 0) -> FileId:
        return await self.open(
            name,
            state,
            options=CreateOption.DIRECTORY_FILE,
            access=Access.FILE_GENERIC_READ | Access.DELETE * bool(name),
        )

    async def held(self, name: str = "f", state: int = READ | HANDLE | WRITE) -> FileId:
        file = await self.open(name, state)
        assert file.lease is not None
        assert file.lease.lease_state == state
        return file

    async def broken(self) -> tuple[int, int]:
        """(state before, state after) of the next break."""
        found = await self.peer.do(self.peer.wait_for_break)
        return found.current_lease_state, found.new_lease_state

    async def watch(self, directory: FileId, what: int = ALL, *, tree: bool = False) -> int:
        """Send CHANGE_NOTIFY and wait until it waits."""
        request = ChangeNotifyRequest(
            flags=ChangeNotifyFlag.WATCH_TREE if tree else 0, output_buffer_length=4096, completion_filter=what,
            file_id_persistent=directory.persistent, file_id_volatile=directory.volatile,
        )  # fmt: skip
        message_id = await self.peer.do(self.peer.start, Command.CHANGE_NOTIFY, request.pack(), tree_id=self.tree)
        header, frame = await self.peer.do(self.peer.receive)
        if header.status != Status.PENDING:
            self.peer._messages.insert(0, (header, frame))
        return message_id

    async def told(self, message_id: int) -> list[tuple[int, str]]:
        header, frame = await self.peer.do(self.peer.finish, message_id)
        assert header.status == Status.SUCCESS, hex(header.status)
        return parse_notify_information(
            change_notify_output(frame, ChangeNotifyResponse.unpack_from(frame, HEADER_SIZE))
        )

    async def all_told(
        self, directory: FileId, last: Callable[[], object], end: tuple[int, str]
    ) -> list[tuple[int, str]]:
        """Everything that is told up to the change `end`, which `last()` makes."""
        heard: list[tuple[int, str]] = []
        last()
        while end not in heard:
            heard += await self.told(await self.watch(directory))
        return heard


@pytest.fixture(params=["inline", "threads"])
async def scene(request, start, tmp_path):
    platform = probe()
    if platform.watch is None:
        pytest.skip(platform.absent["watch"])
    settings = Settings(
        server_guid=bytes(range(16)),
        shares=(ShareSettings(name="s", path=str(tmp_path), run_as="server"),),
        limits=Limits(),
    )
    faults = Faults()
    if request.param == "threads":
        faults.force_threads()
    world = await start(settings=settings, platform=faults.wrap(platform))
    peer, tree = await world.log_on()
    yield Scene(world, tmp_path, peer, tree)
    assert world.server.bugs == 0


def write(path):
    with open(path, "ab") as file:
        file.write(b"local")


def replace(path):
    write(str(path) + "~")
    os.rename(str(path) + "~", path)


CHANGES = {
    "write": write,
    "truncate": lambda path: os.truncate(path, 0),
    "rename": lambda path: os.rename(path, str(path) + "2"),
    "replace": replace,
    "delete": os.unlink,
    "chmod": lambda path: os.chmod(path, 0o600),
    "touch": os.utime,
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_local_change_breaks_a_lease(scene, change) -> None:
    file = await scene.held()
    await scene.peer.do(scene.peer.write, file, 0, b"data")
    CHANGES[change](scene.folder / "f")
    assert await scene.broken() == (READ | HANDLE | WRITE, 0)
    assert await scene.peer.do(scene.peer.acknowledge_lease_break, scene.tree, KEY, 0) == 0


async def test_a_local_change_breaks_an_oplock(scene) -> None:
    file = await scene.open("f", oplock=OplockLevel.BATCH)
    assert file.oplock_level == OplockLevel.BATCH
    write(scene.folder / "f")
    notification = await scene.peer.do(scene.peer.wait_for_break)
    assert (notification.file_id_volatile, notification.oplock_level) == (file.volatile, OplockLevel.NONE)


async def test_what_the_holder_does_itself_breaks_nothing(scene) -> None:
    file = await scene.held()
    peer = scene.peer
    for offset in range(3):
        await peer.do(peer.write, file, offset, b"data" * 30000)
    await peer.do(peer.set_info, file, 20, (10).to_bytes(8, "little"))  # FileEndOfFileInformation
    await peer.do(peer.flush, file)
    other = await scene.open("other")
    await peer.do(peer.write, other, 0, b"data")
    await peer.do(peer.close, other)
    os.mkdir(scene.folder / "local")
    directory = await scene.directory()
    message_id = await scene.watch(directory)
    os.rmdir(scene.folder / "local")
    assert (REMOVED, "local") in await scene.told(message_id)  # so everything before has been heard
    assert peer.breaks == []


async def test_a_local_change_breaks_a_lease_on_a_directory(scene) -> None:
    os.mkdir(scene.folder / "d")
    directory = await scene.directory("d", READ | HANDLE)
    assert directory.lease is not None
    assert directory.lease.lease_state == READ | HANDLE
    write(scene.folder / "d/new")
    assert (await scene.broken())[0] == READ | HANDLE


async def test_notify(scene) -> None:
    os.mkdir(scene.folder / "d")
    directory = await scene.directory("d")
    message_id = await scene.watch(directory)
    write(scene.folder / "d/a")
    assert (await scene.told(message_id))[0] == (ADDED, "a")

    def last():
        os.rename(scene.folder / "d/a", scene.folder / "d/b")
        os.rename(scene.folder / "d/b", scene.folder / "b")
        os.rename(scene.folder / "b", scene.folder / "d/c")
        os.unlink(scene.folder / "d/c")
        os.mkdir(scene.folder / "d/last")

    heard = await scene.all_told(directory, last, (ADDED, "last"))
    assert [one for one in heard if one[0] != MODIFIED] == [
        (OLD, "a"), (NEW, "b"), (REMOVED, "b"), (ADDED, "c"), (REMOVED, "c"), (ADDED, "last"),
    ]  # fmt: skip


async def test_what_a_client_does_is_told_once(scene) -> None:
    peer = scene.peer
    directory = await scene.directory()
    message_id = await scene.watch(directory, CompletionFilter.FILE_NAME | CompletionFilter.DIR_NAME)
    file = await scene.open("new")
    assert await scene.told(message_id) == [(ADDED, "new")]
    await peer.do(peer.write, file, 0, b"data")
    rename = bytes(16) + (14).to_bytes(4, "little") + "renamed".encode("utf-16-le")
    await peer.do(peer.set_info, file, 10, rename)  # FileRenameInformation
    await peer.do(peer.set_info, file, 13, b"\1")  # FileDispositionInformation
    await peer.do(peer.close, file)
    heard = await scene.all_told(directory, lambda: os.mkdir(scene.folder / "end"), (ADDED, "end"))
    assert heard == [(OLD, "new"), (NEW, "renamed"), (REMOVED, "renamed"), (ADDED, "end")]


async def test_a_tree_is_watched_as_it_grows(scene) -> None:
    os.makedirs(scene.folder / "a/b")
    directory = await scene.directory()
    message_id = await scene.watch(directory, CompletionFilter.FILE_NAME, tree=True)
    write(scene.folder / "a/b/file")
    assert await scene.told(message_id) == [(ADDED, "a\\b\\file")]
    os.makedirs(scene.folder / "new/deep/er")
    write(scene.folder / "new/deep/er/early")
    assert await scene.told(await scene.watch(directory)) == [(ADDED, "new\\deep\\er\\early")]
    write(scene.folder / "new/deep/er/late")
    assert await scene.told(await scene.watch(directory)) == [(ADDED, "new\\deep\\er\\late")]
    os.rename(scene.folder / "new", scene.folder / "a/moved")
    write(scene.folder / "a/moved/deep/er/later")
    assert await scene.told(await scene.watch(directory)) == [(ADDED, "a\\moved\\deep\\er\\later")]
    await scene.open("client", options=CreateOption.DIRECTORY_FILE)
    await scene.open("client\\file")
    write(scene.folder / "client/local")
    heard = await scene.told(await scene.watch(directory))
    while (ADDED, "client\\local") not in heard:
        heard += await scene.told(await scene.watch(directory))
    assert heard == [(ADDED, "client\\file"), (ADDED, "client\\local")]


@pytest.mark.parametrize("link", [os.link, os.symlink])
async def test_what_can_be_changed_by_another_name_is_not_cached(scene, link) -> None:
    write(scene.folder / "f")
    os.mkdir(scene.folder / "d")
    link(scene.folder / "f", scene.folder / "d/g")
    file = await scene.open("d\\g", READ | HANDLE)
    assert file.lease is None or not file.lease.lease_state


async def test_where_nobody_watches_nothing_is_cached(scene) -> None:
    scene.world.server.platform._inner.watch = None
    file = await scene.open("f", READ)
    assert file.lease is None or not file.lease.lease_state
    assert (await scene.open("g", oplock=OplockLevel.BATCH)).oplock_level == OplockLevel.NONE


async def test_after_the_last_client_left_nothing_is_needed(scene) -> None:
    file = await scene.held()
    lookout = scene.world.server.lookout
    await scene.peer.do(scene.peer.close, file)
    assert len(lookout) == 1
    write(scene.folder / "x")
    with trio.fail_after(10):
        while len(lookout):
            await trio.lowlevel.checkpoint()


@pytest.mark.pure_only  # puts a bug into a class
async def test_a_bug_does_not_end_the_server(start, tmp_path, monkeypatch) -> None:
    shares = (ShareSettings(name="s", path=str(tmp_path), run_as="server"),)
    world = await start(settings=Settings(server_guid=bytes(range(16)), shares=shares), platform=probe())
    peer, tree = await world.log_on()
    scene = Scene(world, tmp_path, peer, tree)
    await scene.held()

    def fail(post, name):
        monkeypatch.undo()
        raise ValueError("a bug")

    monkeypatch.setattr(world.server.lookout.__class__, "_break", lambda self, post, name: fail(post, name))
    write(tmp_path / "f")
    await world.until(lambda: world.server.bugs)
    write(tmp_path / "f")
    assert await scene.broken() == (READ | HANDLE | WRITE, 0)
    assert world.server.bugs == 1
