"""smbprotocol, and the smbclient package on top of it, against a running server."""

import errno
import importlib
import random
import sys
import sysconfig
import threading
import uuid
from contextlib import contextmanager, suppress
from unittest.mock import patch

import pytest

from smbport.wire.constants import Cipher, Command, SigningAlgorithm
from smbport.wire.status import Status

pytest.importorskip("smbprotocol", reason="smbprotocol is not installed")

from smbprotocol import exceptions
from smbprotocol.connection import Connection, Dialects
from smbprotocol.file_info import FileInformationClass
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    DirectoryAccessMask,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    LockFlags,
    Open,
    ShareAccess,
    SMB2LockElement,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

# impacket puts a script smbclient.py beside pytest, in the directory that is searched first.
with patch.object(sys, "path", [entry for entry in sys.path if entry != sysconfig.get_path("scripts")]):
    smbclient = importlib.import_module("smbclient")
    importlib.import_module("smbclient.shutil")

pytestmark = pytest.mark.interop

MIB = 1 << 20
PATIENCE_S = 60  # for an answer that may never come
DIALECTS = {
    "2.0.2": Dialects.SMB_2_0_2,
    "2.1": Dialects.SMB_2_1_0,
    "3.0": Dialects.SMB_3_0_0,
    "3.0.2": Dialects.SMB_3_0_2,
    "3.1.1": Dialects.SMB_3_1_1,
}
CIPHERS = [Cipher.AES_128_CCM, Cipher.AES_128_GCM, Cipher.AES_256_CCM, Cipher.AES_256_GCM]
SIGNING = [SigningAlgorithm.HMAC_SHA256, SigningAlgorithm.AES_CMAC, SigningAlgorithm.AES_GMAC]
EVERYBODY = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
ALL_RIGHTS = FilePipePrinterAccessMask.GENERIC_ALL
FILE = CreateOptions.FILE_NON_DIRECTORY_FILE


@contextmanager
def connected(server, dialect="3.1.1", *, seal=False, sign=True, ciphers=None, signing=None):
    """A tree connect to the share `data`."""
    connection = Connection(uuid.uuid4(), "127.0.0.1", server.port, require_signing=sign)
    connection.connect(DIALECTS[dialect], preferred_encryption_algos=ciphers, preferred_signing_algos=signing)
    try:
        session = Session(connection, server.user, server.password, require_encryption=seal, auth_protocol="ntlm")
        session.connect()
        tree = TreeConnect(session, r"\\127.0.0.1\data")
        tree.connect()  # for 3.0 and 3.0.2, with FSCTL_VALIDATE_NEGOTIATE_INFO
        yield tree
        tree.disconnect()
        session.disconnect()
    finally:
        connection.disconnect()


def opened(tree, name, disposition=CreateDisposition.FILE_OPEN_IF, options=FILE, access=ALL_RIGHTS, **more):
    """An open file, or with send=False the request for one."""
    file = Open(tree, name)
    impersonation, attributes = ImpersonationLevel.Impersonation, FileAttributes.FILE_ATTRIBUTE_NORMAL
    made = file.create(impersonation, access, attributes, EVERYBODY, disposition, options, **more)
    return file if more.get("send", True) else (file, made)


@contextmanager
def refused(status):
    with pytest.raises(exceptions.SMBResponseException) as raised:
        yield
    assert raised.value.status == status, str(raised.value)


def pending(tree, request):
    """Send a request that must wait, and wait until the server says that it does."""
    sent = tree.session.connection.send(request, tree.session.session_id, tree.tree_connect_id)
    sent.response_event.wait(PATIENCE_S)
    assert sent.response["status"].get_value() == Status.PENDING
    return sent


def exchange(tree, size=MIB + 3):
    """Write, read and delete."""
    data = random.Random(size).randbytes(size)
    file = opened(tree, "file", options=FILE | CreateOptions.FILE_DELETE_ON_CLOSE)
    step = min(
        tree.session.connection.max_write_size, 65536 if not tree.session.connection.supports_multi_credit else MIB
    )
    for offset in range(0, size, step):
        assert file.write(data[offset : offset + step], offset) == len(data[offset : offset + step])
    file.flush()
    assert b"".join(file.read(offset, step) for offset in range(0, size, step)) == data
    file.close()


# What is negotiated ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(server, dialect):
    with connected(server, dialect) as tree:
        exchange(tree)
    assert server.names() == []


@pytest.mark.parametrize("algorithm", SIGNING)
def test_signing_algorithms(server, algorithm):
    with connected(server, signing=[algorithm]) as tree:
        assert tree.session.connection.signing_algorithm_id == algorithm
        exchange(tree)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_ciphers(server, cipher):
    with connected(server, seal=True, ciphers=[cipher]) as tree:
        assert tree.session.connection.cipher_id == cipher
        exchange(tree)


@pytest.mark.parametrize("dialect", ["3.0", "3.0.2", "3.1.1"])
def test_encryption_that_the_server_requires(serve, relay, dialect):
    watched = relay(serve(server={"encryption": "required"}))
    with connected(watched, dialect) as tree:
        assert tree.session.encrypt_data
        exchange(tree)
    assert watched.clear_commands() <= {Command.NEGOTIATE, Command.SESSION_SETUP}


def test_without_signing(serve):
    """In 3.1.1 a client must sign its TREE_CONNECT at least, and this one cannot sign just that."""
    server = serve(server={"signing": "offered"})
    with connected(server, "3.0.2", sign=False) as tree:
        assert not tree.session.signing_required
        exchange(tree)
        data = random.Random(0).randbytes(8 * MIB)
        server.path("big").write_bytes(data)
        file = opened(tree, "big")
        assert file.read(1, 2 * MIB) == data[1 : 2 * MIB + 1]
        file.close()


def test_wrong_logons(serve):
    server = serve(limits={"failed_logon_delay_s": 0.01})
    for server.user, server.password in (("alice", "wrong"), ("mallory", "wrong")):
        with refused(Status.LOGON_FAILURE), connected(server):
            pass


# Credits and compounds ------------------------------------------------------------------------------------------


def test_large_reads_and_writes_cost_credits(server):
    data = random.Random(1).randbytes(8 * MIB)
    with connected(server) as tree:
        connection = tree.session.connection
        assert (connection.max_read_size, connection.max_write_size) == (8 * MIB, 8 * MIB)
        connection.echo(credit_request=512)
        file = opened(tree, "file")
        assert file.write(data) == len(data)
        assert file.read(0, len(data)) == data
        with refused(Status.END_OF_FILE):
            file.read(len(data), 1)
        assert file.read(len(data) - 1, 100) == data[-1:]
        file.close()
        window = connection.sequence_window
        assert window["high"] - window["low"] >= 512 - 128


def test_many_requests_at_once(server):
    pieces = [random.Random(number).randbytes(4096) for number in range(300)]
    with connected(server) as tree:
        connection, ids = tree.session.connection, (tree.session.session_id, tree.tree_connect_id)
        connection.echo(credit_request=400)
        file = opened(tree, "file")
        writes = [file.write(piece, number * 4096, send=False) for number, piece in enumerate(pieces)]
        sent = [connection.send(request, *ids) for request, _ in writes]
        assert [receive(request) for (_, receive), request in zip(writes, sent, strict=True)] == [4096] * 300
        reads = [file.read(number * 4096, 4096, send=False) for number in range(300)]
        sent = [connection.send(request, *ids) for request, _ in reads]
        assert [receive(request) for (_, receive), request in zip(reads, sent, strict=True)] == pieces
        file.close()
    assert server.path("file").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize("seal", [False, True])
def test_related_compounds(server, seal):
    """CREATE, WRITE, READ and CLOSE in one frame."""
    with connected(server, seal=seal) as tree:
        connection, session = tree.session.connection, tree.session
        connection.echo(credit_request=64)
        file, create = opened(tree, "file", send=False)
        calls = [create, file.write(b"hello", send=False), file.read(0, 5, send=False), file.close(send=False)]
        requests = connection.send_compound(
            [call[0] for call in calls], session.session_id, tree.tree_connect_id, related=True
        )
        results = [receive(request) for (_, receive), request in zip(calls, requests, strict=True)]
        assert results[1:3] == [5, b"hello"]
    assert server.path("file").read_bytes() == b"hello"


def test_a_related_compound_fails_as_a_whole(server):
    with connected(server) as tree:
        connection, session = tree.session.connection, tree.session
        connection.echo(credit_request=64)
        file, create = opened(tree, "nothing", CreateDisposition.FILE_OPEN, send=False)
        calls = [create, file.read(0, 5, send=False), file.close(send=False)]
        requests = connection.send_compound(
            [call[0] for call in calls], session.session_id, tree.tree_connect_id, related=True
        )
        for (_, receive), request in zip(calls, requests, strict=True):
            with refused(Status.OBJECT_NAME_NOT_FOUND):
                receive(request)


def test_unrelated_compounds(server):
    with connected(server) as tree:
        connection, session = tree.session.connection, tree.session
        connection.echo(credit_request=64)
        made = [opened(tree, f"file-{number}", send=False) for number in range(8)]
        requests = connection.send_compound([create[0] for _, create in made], session.session_id, tree.tree_connect_id)
        for (_, (_, receive)), request in zip(made, requests, strict=True):
            receive(request)
        for file, _ in made:
            file.close()
    assert len(server.names()) == 8


def test_many_threads_on_one_connection(server):
    with connected(server) as tree:
        tree.session.connection.echo(credit_request=512)
        faults = []

        def work(number):
            data = random.Random(number).randbytes(65536)
            try:
                for turn in range(10):
                    file = opened(tree, f"{number}-{turn}", options=FILE | CreateOptions.FILE_DELETE_ON_CLOSE)
                    file.write(data)
                    assert file.read(0, len(data)) == data
                    file.close()
            except (AssertionError, exceptions.SMBException) as fault:
                faults.append(fault)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
    assert server.names() == []


# Files ----------------------------------------------------------------------------------------------------------


def test_holes_and_far_ends(server):
    with connected(server, "2.0.2") as tree:
        file = opened(tree, "file")
        file.write(b"end", 1 << 40)
        assert file.read(1 << 39, 65536) == bytes(65536)
        assert file.read(1 << 40, 10) == b"end"
        file.close()
    assert server.path("file").stat().st_size == (1 << 40) + 3


def test_byte_range_locks(server):
    def element(flags):
        lock = SMB2LockElement()
        lock["offset"], lock["length"], lock["flags"] = 10, 10, flags
        return lock

    exclusive = LockFlags.SMB2_LOCKFLAG_EXCLUSIVE_LOCK
    with connected(server) as one, connected(server) as two:
        mine, theirs = opened(one, "file"), opened(two, "file")
        mine.write(bytes(100))
        mine.lock([element(exclusive | LockFlags.SMB2_LOCKFLAG_FAIL_IMMEDIATELY)])
        with refused(Status.FILE_LOCK_CONFLICT):
            theirs.write(b"x", 15)
        with refused(Status.LOCK_NOT_GRANTED):
            theirs.lock([element(exclusive | LockFlags.SMB2_LOCKFLAG_FAIL_IMMEDIATELY)])
        request, receive = theirs.lock([element(exclusive)], send=False)  # waits until we give it up
        waiting = pending(two, request)
        mine.lock([element(LockFlags.SMB2_LOCKFLAG_UNLOCK)])
        receive(waiting)
        with refused(Status.FILE_LOCK_CONFLICT):
            mine.write(b"x", 15)
        theirs.write(b"x", 15)
        theirs.close()
        mine.close()


def test_a_waiting_lock_is_cancelled(server):
    lock = SMB2LockElement()
    lock["offset"], lock["length"], lock["flags"] = 0, 1, LockFlags.SMB2_LOCKFLAG_EXCLUSIVE_LOCK
    with connected(server) as tree:
        one, two = opened(tree, "file"), opened(tree, "file")
        one.lock([lock])
        request, receive = two.lock([lock], send=False)
        waiting = pending(tree, request)
        waiting.cancel()
        with refused(Status.CANCELLED):
            receive(waiting)
        one.close()
        two.close()


def test_share_modes(server):
    with connected(server) as one, connected(server) as two:
        mine = Open(one, "file")
        mine.create(
            ImpersonationLevel.Impersonation, ALL_RIGHTS, FileAttributes.FILE_ATTRIBUTE_NORMAL,
            ShareAccess.FILE_SHARE_READ, CreateDisposition.FILE_CREATE, FILE,
        )  # fmt: skip
        with refused(Status.SHARING_VIOLATION):
            opened(two, "file")
        mine.close()
        opened(two, "file").close()


@pytest.mark.parametrize("kind", ["", "FULL_", "BOTH_", "ID_BOTH_", "ID_FULL_"])
def test_listings(server, sizes, kind):
    information_class = getattr(FileInformationClass, f"FILE_{kind}DIRECTORY_INFORMATION")
    expected = {f"{number:03} {'é' * (number % 50)}".strip() for number in range(sizes.files // 20)}
    for name in expected:
        server.path(name).touch()
    with connected(server) as tree:
        options = CreateOptions.FILE_DIRECTORY_FILE
        directory = opened(tree, "", options=options, access=DirectoryAccessMask.FILE_LIST_DIRECTORY)
        names = []
        with suppress(exceptions.NoMoreFiles):
            while True:
                entries = directory.query_directory("*", information_class, max_output=4096)
                names += [entry["file_name"].get_value().decode("utf-16-le") for entry in entries]
        directory.close()
    assert sorted(names) == sorted(expected | {".", ".."})


# The package smbclient ------------------------------------------------------------------------------------------


@pytest.fixture
def session(server):
    """What every call of the package takes: a cache of connections of its own, and how to log on."""
    session = {
        "username": server.user, "password": server.password, "port": server.port, "connection_cache": {},
        "auth_protocol": "ntlm",
    }  # fmt: skip
    yield session
    smbclient.reset_connection_cache(connection_cache=session["connection_cache"])


ROOT = r"\\127.0.0.1\data"


def test_like_os(server, session):
    data = random.Random(2).randbytes(3 * MIB)
    smbclient.makedirs(rf"{ROOT}\a\b\c", **session)
    with smbclient.open_file(rf"{ROOT}\a\b\c\file", "wb", **session) as file:
        file.write(data)
    with smbclient.open_file(rf"{ROOT}\a\b\c\file", "ab", **session) as file:
        file.write(b"more")
    with smbclient.open_file(rf"{ROOT}\a\b\c\file", "rb", **session) as file:
        file.seek(MIB)
        assert file.read() == data[MIB:] + b"more"
    walked = [(top[len(ROOT) :], directories, files) for top, directories, files in smbclient.walk(ROOT, **session)]
    assert walked == [("", ["a"], []), (r"\a", ["b"], []), (r"\a\b", ["c"], []), (r"\a\b\c", [], ["file"])]
    smbclient.truncate(rf"{ROOT}\a\b\c\file", 5, **session)
    smbclient.utime(rf"{ROOT}\a\b\c\file", ns=(10**18, 1_234_567_890_123_456_700), **session)
    state = smbclient.stat(rf"{ROOT}\a\b\c\file", **session)
    assert (state.st_size, state.st_mtime_ns) == (5, 1_234_567_890_123_456_700)
    assert server.path("a/b/c/file").stat().st_mtime_ns == 1_234_567_890_123_456_700
    smbclient.rename(rf"{ROOT}\a\b\c\file", rf"{ROOT}\moved", **session)
    smbclient.link(rf"{ROOT}\moved", rf"{ROOT}\linked", **session)
    assert server.path("moved").samefile(server.path("linked"))
    smbclient.replace(rf"{ROOT}\linked", rf"{ROOT}\a\other", **session)
    assert sorted(smbclient.listdir(ROOT, **session)) == ["a", "moved"]
    smbclient.remove(rf"{ROOT}\moved", **session)
    smbclient.shutil.rmtree(rf"{ROOT}\a", **session)
    assert server.names() == []


def test_errors(server, session):
    server.path("directory").mkdir()
    server.path("directory/file").touch()
    for number, function, name in (
        (errno.ENOENT, smbclient.stat, "nothing"),
        (errno.ENOENT, smbclient.open_file, r"no\thing"),
        (errno.EEXIST, smbclient.mkdir, "directory"),
        (errno.ENOTEMPTY, smbclient.rmdir, "directory"),
        (errno.ENOTDIR, smbclient.rmdir, r"directory\file"),
        (errno.EISDIR, smbclient.remove, "directory"),
    ):
        with pytest.raises(OSError, match=rf"^\[Error {number}\]"):
            function(rf"{ROOT}\{name}", **session)
    with pytest.raises(OSError, match="BAD_NETWORK_NAME"):
        smbclient.listdir(r"\\127.0.0.1\nothing", **session)
    assert server.path("directory/file").exists()
