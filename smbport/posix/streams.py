"""Named streams in extended attributes, as Samba's `streams_xattr` and ksmbd keep them, and beside them.

The stream NAME of a file is its attribute `NAME:$DATA`, behind a prefix that the port knows.  The value is the data
and one byte of zero, because there are systems without empty attributes; ksmbd leaves that byte out.  What is too
long for an attribute, or for all of them together, lies in the side store of the volume, and the attribute only says
where: text that begins with MARK and does not end with a zero, which no data of ours ever looks like.

So a stream is one attribute whichever way it is kept, and to go from one way to the other is to replace its value: at
every moment the old data or the new is there.  The old value is replaced only when all of the data is on stable
storage in its new place.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from errno import E2BIG, EAGAIN, EBADF, EDQUOT, EEXIST, EFBIG, EINVAL, ENAMETOOLONG, ENOENT, ENOSPC, ERANGE
from threading import Lock
from typing import Final, Literal, Protocol, cast

from smbport.platform import Directory, File, FileKey, Kind, Node, Stat, StreamEntry
from smbport.posix.nodes import PosixNode, check_wait
from smbport.posix.walk import error

__all__ = ["END", "MARK", "TYPE", "AttributeStreams", "Content", "StreamFile", "Values", "token_of"]

TYPE: Final = ":$DATA"
MARK: Final = b"smbport-stream:"
END: Final = b"\0"
NO_ROOM: Final = (ENOSPC, E2BIG, ERANGE, EDQUOT)  # what file systems say of too many or too long attributes
RESIDENT: Final = 8  # bytes that small streams take up in steps of, as on NTFS
MAX_SIZE: Final = (1 << 63) - 1


class Values(Protocol):
    """The attributes that streams are kept in; names come without the prefix.  Whatever waits, waits."""

    max_value: int  # bytes of one value that the system can take at most
    max_name: int  # bytes of one name without the prefix

    def names(self, node: PosixNode) -> Sequence[str]:
        """All of them."""

    def get(self, node: PosixNode, name: str) -> bytes | None:
        """The value as the server may read it; None if there is no such attribute."""

    def create(self, node: PosixNode, name: str, value: bytes) -> None:
        """Make it, with the user's rights.  FileExistsError if it is there."""

    def set(self, node: PosixNode, name: str, value: bytes, *, replace: bool = True) -> None:
        """Make or replace it, with the server's rights, in one step.  OSError (NO_ROOM) if it does not fit.

        FileExistsError if it is there and is not to be replaced.
        """

    def remove(self, node: PosixNode, name: str) -> None:
        """Remove it, with the server's rights; FileNotFoundError if there is no such attribute."""


class AttributeStreams:
    """The power `streams`, for a port that has attributes."""

    __slots__ = ("_lock", "_open", "_values")

    def __init__(self, values: Values) -> None:
        self._values = values
        self._lock = Lock()  # of the table, and of how many use each content
        self._open: dict[tuple[FileKey, str], Content] = {}

    def entries(self, node: Node, *, wait: bool = False) -> list[StreamEntry]:
        posix = reach(node, wait=wait)
        found = []
        for attribute in self._values.names(posix):
            name = name_of(attribute)
            if name:
                with suppress(FileNotFoundError):  # removed meanwhile, or it leads nowhere
                    size, allocated = self.new_content(posix, name).measure(posix)
                    found.append(StreamEntry(name, size, allocated))
        return found

    def open(self, node: File | Directory, name: str, *, wait: bool = False) -> File:
        posix = reach(node, wait=wait)
        check_name(self._values, name)
        with self._using(posix, name) as content, content.held(wait=wait):
            content.find(posix, wait=wait)
            return StreamFile(node, content, self)

    def create(self, node: File | Directory, name: str, *, wait: bool = False) -> File:
        posix = reach(node, wait=wait)
        check_name(self._values, name)
        with self._using(posix, name) as content, content.held(wait=wait):
            content.create(posix)
            return StreamFile(node, content, self)

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        posix = reach(node, wait=wait)
        with self._using(posix, name) as content, content.held(wait=wait):
            content.remove(posix)

    def rename(self, node: Node, old: str, new: str, *, wait: bool = False) -> None:
        posix = reach(node, wait=wait)
        check_name(self._values, new)
        check_wait(wait)  # it may have to be moved to the side store first
        with self._using(posix, old) as content, content.held(wait=True):
            content.rename(posix, new)
            with self._lock:
                del self._open[content.key, old]
                self._open[content.key, new] = content

    def new_content(self, node: PosixNode, name: str) -> "Content":
        """What keeps a stream of this file."""
        return Content(self._values, node.stat().key, name)

    @contextmanager
    def _using(self, node: PosixNode, name: str) -> "Iterator[Content]":
        """The content of that name, the same for all who use it at a time."""
        key = node.stat().key
        with self._lock:
            content = self._open.get((key, name))
            if content is None:
                content = self._open[key, name] = self.new_content(node, name)
            content.users += 1
        try:
            yield content
        finally:
            self.let_go(content)

    def take(self, content: "Content") -> None:
        """One user more of a content that is in use."""
        with self._lock:
            content.users += 1

    def let_go(self, content: "Content") -> None:
        """One user less."""
        with self._lock:
            content.users -= 1
            if content.users:
                return
            if self._open.get((content.key, content.name)) is content:
                del self._open[content.key, content.name]
        content.close()


class Content:
    """One stream of one file, wherever its data is.  All but `measure` and `close` is called with it held."""

    __slots__ = ("_lock", "_side", "_token", "_values", "key", "name", "users")

    def __init__(self, values: Values, key: FileKey, name: str) -> None:
        self._values = values
        self._lock = Lock()
        self._side: File | None = None  # open while the data is in the side store and somebody uses it
        self._token = ""
        self.key = key
        self.name = name
        self.users = 0

    @contextmanager
    def held(self, *, wait: bool) -> Iterator[None]:
        """Alone with it.  BlockingIOError if somebody else is and `wait` is false."""
        if not self._lock.acquire(blocking=wait):
            raise error(EAGAIN)
        try:
            yield
        finally:
            self._lock.release()

    # Being there

    def find(self, node: PosixNode, *, wait: bool) -> None:
        """FileNotFoundError if there is no such stream."""
        if self._side is None:
            self._load(node, wait=wait)

    def create(self, node: PosixNode) -> None:
        """FileExistsError if there is such a stream."""
        try:
            self._values.create(node, self.name + TYPE, END)
        except FileExistsError:
            with suppress(FileNotFoundError):  # what leads nowhere is nothing
                self.measure(node)
                raise
            self._values.set(node, self.name + TYPE, END)

    def remove(self, node: PosixNode) -> None:
        """FileNotFoundError if there is no such stream."""
        value = self._values.get(node, self.name + TYPE)
        self._values.remove(node, self.name + TYPE)
        self._forget(node, token_of(value or b""))

    def rename(self, node: PosixNode, new: str) -> None:
        """FileExistsError if there is a stream of that name.  For a moment it may have both."""
        data = self._load(node, wait=True)
        if self._values.get(node, new + TYPE) is not None:
            raise error(EEXIST)
        if data is not None:
            try:
                self._values.set(node, new + TYPE, data + END, replace=False)
            except OSError as reason:
                if reason.errno not in NO_ROOM:
                    raise
                self._move_out(node, data, reason)
        old_token, new_token = self._token, ""
        if old_token:
            new_token = node.home.side.link(self.key.inode, old_token)
            try:
                self._values.set(node, new + TYPE, MARK + new_token.encode(), replace=False)
            except OSError:
                node.home.side.remove(self.key.inode, new_token)
                raise
        self._values.remove(node, self.name + TYPE)
        self.name, self._token = new, new_token
        if old_token:
            node.home.side.remove(self.key.inode, old_token)

    def close(self) -> None:
        """Nobody uses it any more."""
        side, self._side = self._side, None
        if side is not None:
            side.close()

    # Its data

    def measure(self, node: PosixNode) -> tuple[int, int]:
        """Size, and bytes taken."""
        side = self._side
        if side is not None:
            with suppress(OSError):  # it went back into the attribute in this moment
                stat = side.stat()
                return stat.size, stat.allocated
        value = self._values.get(node, self.name + TYPE)
        if value is None:
            raise error(ENOENT)
        token = token_of(value)
        if token:
            found = node.home.side.size(self.key.inode, token)
            return found.st_size, found.st_blocks * 512
        size = len(value.removesuffix(END))
        return size, -(-size // RESIDENT) * RESIDENT

    def read(self, node: PosixNode, offset: int, length: int, *, wait: bool) -> bytes:
        data = self._load(node, wait=wait)
        if data is not None:
            return data[offset : offset + length]
        return self._opened_side().read_at(offset, length, wait=wait)

    def write(self, node: PosixNode, offset: int, data: bytes | memoryview, *, through: bool, wait: bool) -> int:
        old = self._load(node, wait=wait)
        end = offset + len(data)
        if end > MAX_SIZE:
            raise error(EFBIG)
        if old is not None:
            if not data:
                return 0
            fits = max(end, len(old)) < self._values.max_value
            new = b"".join((old[:offset].ljust(offset, END), data, old[end:])) if fits else None
            if self._try_replace(node, old, new, wait=wait):
                return len(data)
        return self._opened_side().write_at(offset, data, through=through, wait=wait)

    def resize(self, node: PosixNode, size: int, *, wait: bool) -> None:
        old = self._load(node, wait=wait)
        if old is not None:
            new = old[:size].ljust(size, END) if size < self._values.max_value else None
            if self._try_replace(node, old, new, wait=wait):
                return
        if size:
            self._opened_side().resize(size, wait=wait)
            return
        check_wait(wait)
        self._values.set(node, self.name + TYPE, END)
        self._forget(node, self._token)

    def allocate(self, node: PosixNode, size: int, *, wait: bool) -> None:
        """An attribute cannot reserve room."""
        if self._load(node, wait=wait) is None:
            self._opened_side().allocate(size, wait=wait)

    def sync(self) -> None:
        if self._side is not None:
            self._side.sync(wait=True)

    def _opened_side(self) -> File:
        assert self._side is not None
        return self._side

    def _load(self, node: PosixNode, *, wait: bool) -> bytes | None:
        """The data; None if it is in the side store, which then is open.  FileNotFoundError if it is nowhere."""
        if self._side is not None:
            return None
        value = self._values.get(node, self.name + TYPE)
        if value is None:
            raise error(ENOENT)
        token = token_of(value)
        if not token:
            return value.removesuffix(END)
        check_wait(wait)
        self._side = node.home.adopt(node.home.side.open(self.key.inode, token))
        self._token = token
        return None

    def _try_replace(self, node: PosixNode, old: bytes, new: bytes | None, *, wait: bool) -> bool:
        """Give the attribute new data.  False if it does not fit: then the old is in the side store now."""
        reason = error(E2BIG)
        if new is not None:
            try:
                self._values.set(node, self.name + TYPE, new + END)
            except OSError as refusal:
                if refusal.errno not in NO_ROOM:
                    raise
                reason = refusal
            else:
                return True
        check_wait(wait)
        self._move_out(node, old, reason)
        return False

    def _move_out(self, node: PosixNode, data: bytes, reason: OSError) -> None:
        """Put the data into the side store; if that cannot be done, all stays as it is, and `reason` is why."""
        store, inode = node.home.side, self.key.inode
        try:
            token, fd = store.create_for(node.where()[0], inode)
        except OSError:
            raise error(ENOSPC) from reason
        side = node.home.adopt(fd)
        try:
            if side.write_at(0, data, wait=True) < len(data):
                raise error(ENOSPC)
            side.sync(wait=True)
            store.sync(inode)
            self._values.set(node, self.name + TYPE, MARK + token.encode())
        except OSError:
            side.close()
            store.remove(inode, token)
            raise
        self._side, self._token = side, token

    def _forget(self, node: PosixNode, token: str) -> None:
        """What was in the side store is not the data any more."""
        self.close()
        self._token = ""
        if token:
            node.home.side.remove(self.key.inode, token)


class StreamFile:
    """An open stream, which owns a handle of its file."""

    __slots__ = ("_base", "_content", "_node", "_streams")
    is_directory: Literal[False] = False

    def __init__(self, base: File | Directory, content: Content, streams: AttributeStreams) -> None:
        streams.take(content)
        self._base = base
        self._node = cast("PosixNode", base)
        self._content = content
        self._streams: AttributeStreams | None = streams

    def fileno(self) -> int:
        return -1

    def stat(self) -> Stat:
        if self._streams is None:
            raise error(EBADF)
        size, allocated = self._content.measure(self._node)
        return replace(self._base.stat(), kind=Kind.FILE, size=size, allocated=allocated)

    def first_stat(self) -> Stat:
        return self.stat()

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        self._check(wait)
        with self._content.held(wait=wait):
            return self._content.read(self._node, offset, length, wait=wait)

    def write_at(self, offset: int, data: bytes | memoryview, *, through: bool = False, wait: bool = False) -> int:
        self._check(wait)
        if through:
            check_wait(wait)
        with self._content.held(wait=wait):
            written = self._content.write(self._node, offset, data, through=through, wait=wait)
        if through:
            self._base.sync(wait=True)
        return written

    def resize(self, size: int, *, wait: bool = False) -> None:
        if size < 0:
            raise error(EINVAL)
        self._check(wait)
        with self._content.held(wait=wait):
            self._content.resize(self._node, size, wait=wait)

    def allocate(self, size: int, *, wait: bool = False) -> None:
        self._check(wait)
        with self._content.held(wait=wait):
            self._content.allocate(self._node, size, wait=wait)

    def sync(self, *, wait: bool = False) -> None:
        check_wait(wait)
        with self._content.held(wait=True):
            self._content.sync()
        self._base.sync(wait=True)

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        self._base.set_times(access_ns, write_ns, wait=wait)

    def set_mode(self, mode: int, *, wait: bool = False) -> None:
        self._base.set_mode(mode, wait=wait)

    def set_owner(self, uid: int | None, gid: int | None, *, wait: bool = False) -> None:
        self._base.set_owner(uid, gid, wait=wait)

    def set_marks(self, dos_attributes: int | None, birth_ns: int | None, *, wait: bool = False) -> None:
        self._base.set_marks(dos_attributes, birth_ns, wait=wait)

    def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.let_go(self._content)
            self._base.close()

    def _check(self, wait: bool) -> None:
        if self._streams is None:
            raise error(EBADF)
        self._node.check_change(wait)


def reach(node: Node, *, wait: bool) -> PosixNode:
    """The node, if attributes may be read and changed now."""
    if not isinstance(node, PosixNode):
        raise error(EINVAL)
    node.check_change(wait)
    return node


def name_of(attribute: str) -> str:
    """The stream that an attribute keeps; "" if none, or one whose name is no text."""
    name = attribute.removesuffix(TYPE)
    is_text = not any("\ud800" <= letter <= "\udfff" for letter in name)
    return name if len(name) < len(attribute) and is_text else ""


def check_name(values: Values, name: str) -> None:
    if not name or "\0" in name or "/" in name or ":" in name:
        raise error(EINVAL)
    try:
        length = len((name + TYPE).encode())
    except UnicodeEncodeError:
        raise error(EINVAL) from None
    if length > values.max_name:
        raise error(ENAMETOOLONG)


def token_of(value: bytes) -> str:
    """What the side store knows the data by; "" if the value is the data."""
    if value.endswith(END) or not value.startswith(MARK):
        return ""
    return value.removeprefix(MARK).decode("ascii", "replace")
