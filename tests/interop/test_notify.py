"""Change notification for foreign clients: what smbclient prints, and what smbprotocol hears."""

import queue
import shutil
import subprocess
import threading
import uuid
from itertools import count

import pytest

from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import Access, CreateDisposition, CreateOption, FileInfo
from smbport.wire.fscc import FileRenameInformation, pack_with_name

pytestmark = pytest.mark.interop

PATIENCE_S = 60  # for news that may never come
ADDED, REMOVED, MODIFIED = NotifyAction.ADDED, NotifyAction.REMOVED, NotifyAction.MODIFIED
OLD, NEW = NotifyAction.RENAMED_OLD_NAME, NotifyAction.RENAMED_NEW_NAME


class Doer:
    """Our own client, which changes things in the share."""

    def __init__(self, client, tree):
        self.client = client
        self.tree = tree

    def make(self, name, data=b""):
        file = self.client.create(
            self.tree, name, access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE
        )  # fmt: skip
        if data:
            self.client.write(file, 0, data)
        self.client.close(file)

    def rename(self, old, new):
        file = self.client.create(self.tree, old, access=Access.GENERIC_ALL)
        data = pack_with_name(FileRenameInformation(replace_if_exists=False, root_directory=0), new)
        self.client.set_info(file, FileInfo.RENAME, data)
        self.client.close(file)

    def delete(self, name):
        self.client.close(
            self.client.create(self.tree, name, access=Access.GENERIC_ALL, options=CreateOption.DELETE_ON_CLOSE)
        )


@pytest.fixture
def doer(server, connect):
    server.path("d").mkdir()
    return Doer(*connect(server))


def lines_of(process):
    """What a program prints, line by line, in a queue."""
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line.rstrip())

    threading.Thread(target=read, daemon=True).start()
    return lines


def wait_until_it_watches(doer, lines):
    """It is told of nothing that happens before; so make files until it is."""
    for number in count():
        doer.make(f"d\\early {number}")
        try:
            return lines.get(timeout=0.2)
        except queue.Empty:
            assert number * 0.2 < PATIENCE_S


@pytest.mark.skipif(not (shutil.which("smbclient") and shutil.which("stdbuf")), reason="smbclient is not installed")
def test_smbclient(server, doer):
    """Each change once and in its order, whoever made it."""
    address = [f"//{server.host}/data", "-p", str(server.port), "-U", f"{server.user}%{server.password}"]
    command = ["stdbuf", "-oL", "smbclient", *address, "-c", "notify d"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            lines = lines_of(process)
            assert wait_until_it_watches(doer, lines).startswith("0001 early ")
            doer.make("d\\new", b"content")
            doer.rename("d\\new", "d\\newer")
            doer.delete("d\\newer")
            doer.make("d\\end")
            heard = []
            while "0001 end" not in heard:
                heard.append(lines.get(timeout=PATIENCE_S))
        finally:
            process.kill()
    mine = [line for line in heard if " early " not in line]
    expected = [(ADDED, "new"), (MODIFIED, "new"), (OLD, "new"), (NEW, "newer"), (MODIFIED, "newer"),
                (REMOVED, "newer"), (ADDED, "end")]  # fmt: skip
    assert mine == [f"{action:04x} {name}" for action, name in expected]


@pytest.fixture
def watched(server, doer):
    """The directory d, open through smbprotocol."""
    pytest.importorskip("smbprotocol", reason="smbprotocol is not installed")
    from smbprotocol.connection import Connection
    from smbprotocol.open import CreateOptions, DirectoryAccessMask, ImpersonationLevel, Open, ShareAccess
    from smbprotocol.session import Session
    from smbprotocol.tree import TreeConnect

    connection = Connection(uuid.uuid4(), server.host, server.port)
    connection.connect()
    try:
        session = Session(connection, server.user, server.password, auth_protocol="ntlm")
        session.connect()
        tree = TreeConnect(session, rf"\\{server.host}\data")
        tree.connect()
        directory = Open(tree, "d")
        directory.create(
            ImpersonationLevel.Impersonation,
            DirectoryAccessMask.FILE_LIST_DIRECTORY,
            0,
            ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE,
            CreateDisposition.OPEN,
            CreateOptions.FILE_DIRECTORY_FILE,
        )
        yield directory
    finally:
        connection.disconnect()


def start(watched, completion_filter, **keywords):
    """A watcher whose request the server has, because it has answered one behind it."""
    from smbprotocol.change_notify import FileSystemWatcher

    watcher = FileSystemWatcher(watched)
    watcher.start(completion_filter, **keywords)
    watched.connection.echo()
    return watcher


def heard(watcher):
    assert watcher.response_event.wait(PATIENCE_S)
    return [(each["action"].get_value(), each["file_name"].get_value()) for each in watcher.result]


def test_smbprotocol(watched, doer):
    """A filter, a buffer of nothing, what was kept, a cancel, and the end of the handle."""
    watcher = start(watched, CompletionFilter.FILE_NAME)
    doer.client.close(
        doer.client.create(
            doer.tree, "d\\directory", disposition=CreateDisposition.CREATE, options=CreateOption.DIRECTORY_FILE
        )
    )
    doer.make("d\\one")
    assert heard(watcher) == [(ADDED, "one")]
    doer.make("d\\two")
    doer.rename("d\\two", "d\\three")
    assert heard(start(watched, CompletionFilter.FILE_NAME)) == [(ADDED, "two"), (OLD, "two"), (NEW, "three")]
    watcher = start(watched, CompletionFilter.FILE_NAME, output_buffer_length=0)
    doer.make("d\\four")
    assert heard(watcher) == []
    watcher = start(watched, CompletionFilter.FILE_NAME)
    watcher.cancel()
    assert watcher.response_event.wait(PATIENCE_S)
    assert watcher.cancelled
    watcher = start(watched, CompletionFilter.FILE_NAME)
    watched.close()
    assert watcher.response_event.wait(PATIENCE_S)
