"""The exam for the optional powers.  One that is absent raises NotExamined with the platform's own reason."""

import errno
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Final, TypeVar

from smbport.platform import ACCESS_READ, Account, Attributes, File, Identity, Node, Platform, Volume, ZeroCopy
from smbport.testing.exam.bench import (
    BOTH,
    Bench,
    NotExamined,
    check_refused,
    demanding,
    open_bench,
    require,
)

__all__ = [
    "check_attributes", "check_clone", "check_identity", "check_sparse", "check_zero_copy", "find_power",
]  # fmt: skip

T = TypeVar("T")

MIB: Final = 1 << 20
HEAD: Final = b"head of a message"
DATA: Final = bytes(range(256)) * 16
UNABLE: Final = (errno.EOPNOTSUPP, errno.EXDEV)
NO_ROOM: Final = (errno.ENOSPC, errno.E2BIG, errno.ERANGE)
DENIED: Final = (errno.EACCES, errno.EPERM)
PATIENCE_S: Final = 10.0  # guessed; a watch that works is told at once
MAX_SENDS: Final = 100_000  # of at least one byte each; more means that nothing moves


def find_power(platform: Platform, power: str, value: T | None) -> T:
    """The power, or NotExamined with the platform's reason for its absence."""
    if value is None:
        raise NotExamined(platform.absent.get(power, "no reason is given"))
    return value


def check_attributes(platform: Platform, path: str) -> str:
    """Extended attributes of files and directories."""
    find_power(platform, "attributes", platform.attributes)
    with open_bench(platform, path) as bench:
        attributes = bench.platform.attributes
        assert attributes is not None
        for node in (bench.create("file"), bench.volume.make_directory(bench.at("directory"), 0o755)):
            require(attributes.get(node, "exam") is None, "get of an attribute that is not there is None")
            check_refused(
                "remove of an attribute that is not there is FileNotFoundError",
                (errno.ENOENT,), attributes.remove, node, "exam",
            )  # fmt: skip
            before = set(attributes.names(node))
            for value in (b"first", b"", b"\0\xffthird, longer than the first"):
                attributes.set(node, "exam", value)
                require(attributes.get(node, "exam") == value, "get gives what set made or replaced")
            require(set(attributes.names(node)) == before | {"exam"}, "names() lists what was set, without a namespace")
            seen = set(attributes.names(node, seen=node.stat()))
            require(seen == before | {"exam"}, "names() lists the same for who knows the state")
            demand = "set of more than max_value bytes is OSError(ENOSPC) or OSError(E2BIG)"
            check_refused(demand, NO_ROOM, attributes.set, node, "exam", bytes(attributes.max_value + 1))
            _check_lengths(attributes, bench, node)
            attributes.remove(node, "exam")
            require(set(attributes.names(node)) == before, "remove takes the attribute away")
            node.close()
    return ""


def _check_lengths(attributes: Attributes, bench: Bench, node: Node) -> None:
    """`node` has one attribute at least."""
    directory = bench.volume.open(bench.base, ACCESS_READ)
    assert directory.is_directory
    entries = directory.entries(10)
    expected = {name: len(attributes.get(node, name) or b"") for name in attributes.names(node)}
    for entry, lengths in zip(entries, attributes.lengths(directory, entries), strict=True):
        if entry.stat is not None and entry.stat.key == node.stat().key:
            require(lengths is None or lengths == expected, "lengths gives what names and get give, or None")
    directory.close()


def check_clone(platform: Platform, path: str) -> str:
    """Copying inside of a volume."""
    find_power(platform, "clone", platform.clone)
    with open_bench(platform, path) as bench:
        source, target = bench.create("source", DATA), bench.create("target", b"x" * 100)
        copy = partial(_copy_all, bench.platform)
        require(copy(source, 0, target, 0, len(DATA)) == len(DATA), "copy goes on until all is copied")
        require(target.read_at(0, 2 * len(DATA)) == DATA, "copy gives the target the data of the source")
        require(copy(source, 10, target, 5000, 100) == 100, "copy takes any offsets")
        require(target.read_at(5000, 200) == DATA[10:110], "copy reads and writes at its offsets")
        require(copy(source, len(DATA) - 3, target, 0, 100) == 3, "copy ends at the end of the source")
        require(copy(source, len(DATA), target, 0, 100) == 0, "copy returns 0 at the end of the source")
        require(source.read_at(0, 2 * len(DATA)) == DATA, "copy leaves the source alone")
        clone = bench.platform.clone
        assert clone is not None
        demand = "copy between ranges of one file that overlap is OSError(EINVAL)"
        check_refused(demand, (errno.EINVAL,), clone.copy, source, 0, source, 10, 100)
        remark = _check_reflink(bench, source)
        source.close()
        target.close()
    return remark


def _check_reflink(bench: Bench, source: File) -> str:
    """Sharing blocks, all or nothing."""
    clone = bench.platform.clone
    assert clone is not None
    block = bench.volume.space().block_size
    target = bench.create("shares", b"x" * 100)
    reflink = partial(clone.reflink, source)
    if not bench.volume.features.reflink:
        demand = "reflink on a volume without it is OSError(EOPNOTSUPP) or OSError(EXDEV)"
        check_refused(demand, UNABLE, reflink, 0, target, 0, len(DATA))
        require(target.read_at(0, 200) == b"x" * 100, "reflink that is refused changes nothing")
        target.close()
        return "blocks cannot be shared on this volume"
    for offset, target_offset, length in ((1, 0, block), (0, 1, block), (0, 0, block - 1), (block, 0, len(DATA))):
        demand = "reflink of what is no whole blocks, or behind the end of the source, is OSError(EINVAL)"
        check_refused(demand, (errno.EINVAL,), reflink, offset, target, target_offset, length)
    require(target.read_at(0, 200) == b"x" * 100, "reflink that is refused changes nothing")
    reflink(0, target, 0, len(DATA))
    require(target.read_at(0, 2 * len(DATA)) == DATA, "reflink gives the target the data of the source")
    target.write_at(0, b"changed")
    require(source.read_at(0, 7) == DATA[:7], "what is written after a reflink is seen in one of the files only")
    target.close()
    return ""


def _copy_all(platform: Platform, source: File, offset: int, target: File, target_offset: int, length: int) -> int:
    assert platform.clone is not None
    done = 0
    while done < length:
        copied = platform.clone.copy(source, offset + done, target, target_offset + done, length - done)
        require(0 <= copied <= length - done, "copy returns how many bytes it copied")
        if copied == 0:
            break
        done += copied
    return done


def check_sparse(platform: Platform, path: str) -> str:
    """Holes."""
    find_power(platform, "sparse", platform.sparse)
    with open_bench(platform, path) as bench:
        sparse = bench.platform.sparse
        assert sparse is not None
        if not bench.volume.features.holes:
            raise NotExamined("this volume has no holes")
        file = bench.create("holes", b"x" * 4 * MIB)
        file.sync()
        allocated = file.stat().allocated
        sparse.punch(file, MIB, 2 * MIB)
        expected = b"x" * MIB + bytes(2 * MIB) + b"x" * MIB
        require(file.read_at(0, 5 * MIB) == expected, "punch makes the range read as zeroes, and nothing else")
        require(file.stat().allocated < allocated, "punch gives the blocks of the range back")
        sparse.punch(file, 10, 20)
        sparse.punch(file, 4 * MIB - 5, 100)
        expected = b"x" * 10 + bytes(20) + expected[30:-5] + bytes(5)
        require(file.read_at(0, 5 * MIB) == expected, "punch keeps to the range also where it is no whole blocks")
        require(file.stat().size == 4 * MIB, "punch leaves the size alone")
        for offset, length in ((0, 4 * MIB), (MIB // 2, MIB), (0, 8 * MIB), (8 * MIB, MIB)):
            _check_ranges(sparse.data_ranges(file, offset, length, limit=100), expected, offset, length)
        require(len(sparse.data_ranges(file, 0, 4 * MIB, limit=1)) == 1, "data_ranges gives no more than `limit`")
        with suppress(OSError):
            sparse.zero(file, 50, MIB // 2)
            expected = expected[:50] + bytes(MIB // 2) + expected[50 + MIB // 2 :]
        require(file.read_at(0, 5 * MIB) == expected, "zero makes the range read as zeroes, or changes nothing")
        file.close()
    return ""


def _check_ranges(ranges: list[tuple[int, int]], data: bytes, offset: int, length: int) -> None:
    end = min(offset + length, len(data))
    position = offset
    for start, count in ranges:
        require(position <= start and count > 0, "data_ranges are in order and do not overlap")
        require(start + count <= end, "data_ranges lie inside of the range that was asked for, and of the file")
        require(not any(data[position:start]), "data_ranges leave out nothing but zeroes")
        position = start + count
    require(not any(data[position:end]), "data_ranges leave out nothing but zeroes")


def check_zero_copy(platform: Platform, path: str) -> str:
    """Sending file data to a socket."""
    find_power(platform, "zero_copy", platform.zero_copy)
    with open_bench(platform, path) as bench, _connection(bench.platform) as (sender, receiver):
        zero_copy = bench.platform.zero_copy
        assert zero_copy is not None
        require(zero_copy.min_length >= 0, "min_length is a number of bytes")
        file = bench.create("sent", DATA * 64)
        require(file.fileno() >= 0, "with zero copy, fileno() of a file is its descriptor")
        try:
            for head in (HEAD, memoryview(HEAD), b""):
                _check_sending(zero_copy, sender, receiver, file, head, 100, len(DATA) * 60)
        except OSError as error:
            if error.errno != errno.EBUSY or zero_copy.needs_cached:
                raise
            return "this file system caches nothing that could be sent at once"
        _check_sending(zero_copy, sender, receiver, file, HEAD, 0, 1)
        sent = zero_copy.send(sender, HEAD, file, len(DATA) * 64, 10)
        require(sent == len(HEAD), "send at the end of the file returns len(head) + 0")
        require(_receive(receiver, len(HEAD)) == HEAD, "send at the end of the file sends the head alone")
        _check_full_socket(zero_copy, sender, file)
        file.close()
    return ""


@contextmanager
def _connection(platform: Platform) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection, the first non-blocking, as the server's are."""
    with ExitStack() as stack:
        (listening,) = (stack.enter_context(sock) for sock in platform.sockets.listen("127.0.0.1", 0))
        receiver = stack.enter_context(socket.create_connection(listening.getsockname()))
        receiver.settimeout(PATIENCE_S)
        listening.settimeout(PATIENCE_S)
        sender = stack.enter_context(listening.accept()[0])
        sender.setblocking(False)
        yield sender, receiver


def _check_sending(
    zero_copy: ZeroCopy,
    sender: socket.socket,
    receiver: socket.socket,
    file: File,
    head: bytes | memoryview,
    offset: int,
    length: int,
) -> None:
    """Send as the server does: what was taken, head first, is left out of the next call."""
    expected = bytes(head) + file.read_at(offset, length)
    received = b""
    taken = 0
    for _ in range(MAX_SENDS):
        if taken == len(expected):
            break
        rest_of_head = head[taken:]
        file_taken = max(taken - len(head), 0)
        try:
            count = zero_copy.send(sender, rest_of_head, file, offset + file_taken, length - file_taken)
        except BlockingIOError:
            count = 0
        require(0 <= count <= len(expected) - taken, "send returns how many bytes were taken, head included")
        taken += count
        received += _receive(receiver, taken - len(received))
    require(received == expected, "send sends the head, then the bytes of the file, and says how many were taken")


def _receive(receiver: socket.socket, length: int) -> bytes:
    parts = []
    while length > 0:
        try:
            part = receiver.recv(length)
        except TimeoutError:
            break
        if not part:
            break
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _check_full_socket(zero_copy: ZeroCopy, sender: socket.socket, file: File) -> None:
    for _ in range(MAX_SENDS):
        try:
            zero_copy.send(sender, b"", file, 0, len(DATA) * 64)
        except BlockingIOError:
            return
    require(False, "send raises BlockingIOError when the socket takes nothing now")


def check_identity(platform: Platform, path: str) -> str:
    """Acting as another account, one thread at a time."""
    find_power(platform, "identity", platform.identity)
    with open_bench(platform, path) as bench:
        identity, own = bench.platform.identity, bench.platform.account
        assert identity is not None
        require(identity.find_account("no such account, exam") is None, "find_account is None if there is none")
        require(identity.find_group("no such group, exam") is None, "find_group is None if there is none")
        found = identity.find_account(own.name)
        require(found is not None and found.uid == own.uid, "find_account finds the account that the process runs as")
        users, _ = identity.names(wait=True)
        named = users.get(own.uid)
        require(named is None or identity.find_account(named) is not None, "names gives names of accounts")
        require(bench.make("own").uid == own.uid, "what this process makes belongs to Platform.account")
        other = _find_other(identity, own)
        if other is None:
            return "no second account to act as was found"
        return _check_acting(bench, identity, own, other)


def _find_other(identity: Identity, own: Account) -> Account | None:
    for name in ("nobody", "daemon", "guest"):
        account = identity.find_account(name)
        if account is not None and account.uid not in (0, own.uid):
            return account
    return None


def _check_acting(bench: Bench, identity: Identity, own: Account, other: Account) -> str:
    bench.make("private", b"private")
    bench.make_directory("shared")
    for name, mode in (("", 0o711), ("shared", 0o777), ("private", 0o600)):
        node = bench.volume.open(bench.at(name) if name else bench.base, ACCESS_READ)
        node.set_mode(mode)
        node.close()
    theirs = bench.volume.acting_as(other)
    try:
        theirs.stat(bench.base)
    except PermissionError:
        return f"{other.name} may not enter the volume"
    _check_rights(bench, theirs, other)
    require(bench.make("shared/by-us").uid == own.uid, "acting_as leaves the volume itself as it was")
    _check_become(bench, identity, other)
    return ""


def _check_become(bench: Bench, identity: Identity, other: Account) -> None:
    def read_private(demand: str) -> None:
        with demanding(demand):
            bench.read("private")

    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(read_private, "the file can be read").result()  # starts the thread: a new one inherits rights
        with identity.become(other):
            demand = "in the `with` block of become, the thread has the rights of the account"
            check_refused(demand, DENIED, bench.read, "private")
            pool.submit(read_private, "become is for its own thread only").result()
    read_private("the rights come back when the `with` block of become is left")


def _check_rights(bench: Bench, theirs: Volume, other: Account) -> None:
    for made in (
        theirs.create(bench.at("shared/by-them"), BOTH, 0o600),
        theirs.make_directory(bench.at("shared/directory"), 0o700),
    ):
        require(made.stat().uid == other.uid, "what a volume that is acting_as an account makes belongs to it")
        made.close()
    demand = "a volume that is acting_as an account has no other rights than it: PermissionError"
    at = bench.at
    check_refused(demand, DENIED, theirs.open, at("private"), ACCESS_READ)
    check_refused(demand, DENIED, theirs.create, at("new"), BOTH, 0o600)
    check_refused(demand, DENIED, theirs.make_directory, at("new"), 0o700)
    check_refused(demand, DENIED, theirs.rename, at("private"), at("shared/stolen"), replace=False)
    check_refused(demand, DENIED, theirs.remove, at("private"), bench.stat("private").key)
    require(theirs.may_remove(at("private")) is False, "may_remove is about the rights of the account")
    require(theirs.may_remove(at("shared/by-them")) is True, "may_remove is about the rights of the account")
    require(theirs.stat(at("private")).size == 7, "stat needs no right on the file itself")
