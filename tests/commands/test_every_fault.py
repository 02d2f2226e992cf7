"""Fail the n-th platform call, for every n of a mixed workload.

Whatever fails: the client gets an answer, an acknowledged byte is there afterwards, nothing acknowledged as gone
is still there, and no handle, open or lock is left when the client has gone.
"""

import errno
from collections.abc import Callable

import pytest

from smbport.platform import ACCESS_READ, Volume
from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import Client, DirectLink, FileId
from smbport.testing.direct import DirectConnection, new_server
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, CreateDisposition, CreateOption, FileInfo
from smbport.wire.fscc import FileEndOfFileInformation, FileRenameInformation, pack_with_name
from smbport.wire.status import StatusError

SETTINGS = Settings(server_guid=bytes(range(16)), shares=(ShareSettings(name="s", path="v", run_as="server"),))
USERS = MemoryUsers({"u": "p"})


class Promises:
    """What the server has acknowledged; None is a name that must not be there."""

    def __init__(self) -> None:
        self.content: dict[str, bytes | None] = {}
        self.unknown: set[str] = set()  # a change of it failed, so either state is right

    def attempt(self, names: tuple[str, ...], operation: Callable[[], None], *outcome: bytes | None) -> bool:
        """Run one operation; if the server says it is done, `outcome` holds for `names`."""
        try:
            operation()
        except StatusError:
            self.unknown.update(names)
            return False
        self.content.update(zip(names, outcome, strict=True))
        return True


def workload(client: Client, promises: Promises) -> None:
    """Make, write, flush, read back, list, truncate, rename and delete, going on after every refusal."""
    tree = client.tree_connect("s")
    opened: dict[str, FileId] = {}

    def make(name: str, options: int = 0) -> None:
        opened[name] = client.create(
            tree, name, access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE, options=options
        )

    promises.attempt(("d",), lambda: make("d", CreateOption.DIRECTORY_FILE), b"")
    for name in ("a", "b", "d\\c"):
        promises.attempt((name,), lambda name=name: make(name), b"")  # type: ignore[misc]
        if name in opened:
            text = name.encode() * 5000
            if promises.attempt((name,), lambda name=name, text=text: write(client, opened[name], text), text):  # type: ignore[misc]
                assert client_reads(client, opened[name], len(text)) in (text, None)
    for file in opened.values():
        refused(lambda file=file: client.query_info(file, FileInfo.ALL))  # type: ignore[misc]
    if "d" in opened:
        refused(lambda: client.query_directory(opened["d"]))
    if "a" in opened:
        end = FileEndOfFileInformation(end_of_file=7).pack()
        promises.attempt(("a",), lambda: client.set_info(opened["a"], FileInfo.END_OF_FILE, end), b"a" * 7)
        rename = pack_with_name(FileRenameInformation(replace_if_exists=0, root_directory=0), "z")
        old, doubtful = promises.content.get("a"), "a" in promises.unknown
        if promises.attempt(("z", "a"), lambda: client.set_info(opened["a"], FileInfo.RENAME, rename), old, None):
            promises.unknown -= {"a"}  # whatever it held, the old name is gone
            promises.unknown |= {"z"} if doubtful else set()
    if "b" in opened:
        refused(lambda: client.set_info(opened["b"], FileInfo.DISPOSITION, b"\x01"))
        promises.unknown.add("b")  # a removal that fails at close is in the log, not in the answer
    for file in opened.values():
        refused(lambda file=file: client.close(file))  # type: ignore[misc]


def write(client: Client, file: FileId, data: bytes) -> None:
    """Write all, as a client does that takes short counts for an answer, then flush."""
    done = 0
    while done < len(data):
        done += client.write(file, done, data[done:])
    client.flush(file)


def client_reads(client: Client, file: FileId, length: int) -> bytes | None:
    try:
        return client.read(file, 0, length)
    except StatusError:
        return None


def refused(operation: Callable[[], object]) -> None:
    """Run what may be refused without consequence."""
    try:
        operation()
    except StatusError:
        return


def run(faults: Faults, memory: MemoryPlatform) -> Promises:
    promises = Promises()
    server = new_server(SETTINGS, faults.wrap(memory), USERS)
    connection = DirectConnection(server)
    client = Client(DirectLink(connection))
    client.negotiate()
    client.log_on("u", "p")
    try:
        workload(client, promises)
    finally:
        connection.close()
    assert server.open_count == 0
    assert len(server.files) == 0
    assert server.bugs == 0
    return promises


def check(memory: MemoryPlatform, promises: Promises) -> None:
    """Look past the server, at what is really there."""
    assert memory.open_handles == 0
    volume = memory.open_volume("v")
    for name, expected in promises.content.items():
        if name in promises.unknown:
            continue
        content = content_of(volume, name.replace("\\", "/"))
        assert content == expected, f"{name}: acknowledged {expected!r}, is {content!r}"
    volume.close()


def content_of(volume: Volume, path: str) -> bytes | None:
    try:
        node = volume.open(path, ACCESS_READ, wait=True)
    except FileNotFoundError:
        return None
    try:
        return b"" if node.is_directory else node.read_at(0, 1 << 20, wait=True)
    finally:
        node.close()


def count_calls() -> int:
    """How many platform calls the workload makes when nothing fails."""
    faults, memory = Faults(), MemoryPlatform()
    promises = run(faults, memory)
    assert not promises.unknown - {"b"}, "the workload itself is refused something"
    check(memory, promises)
    return sum(faults.counts.values())


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EACCES, errno.EMFILE], ids=errno.errorcode.get)
def test_no_single_fault_loses_what_was_acknowledged(number: int) -> None:
    calls = count_calls()
    assert calls > 60
    for nth in range(1, calls + 1):
        faults, memory = Faults(), MemoryPlatform()
        memory.open_volume("v").close()
        faults.fail("*", number, nth=nth)
        try:
            promises = run(faults, memory)
        except OSError:
            assert nth == 1, "only the opening of the share may fail as an OSError"
            continue
        faults.clear()
        check(memory, promises)


def test_every_call_may_have_to_wait() -> None:
    faults, memory = Faults(), MemoryPlatform()
    faults.force_threads()
    promises = run(faults, memory)
    assert not promises.unknown - {"b"}
    check(memory, promises)
