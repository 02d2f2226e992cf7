"""A share in memory: with handlers that are driven by hand (`Share`), and behind whole connections (`Wire`)."""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from smbport.commands.call import NO_FILE_ID, Call, Chain, Reply
from smbport.commands.query_directory import query_directory
from smbport.commands.query_info import query_info
from smbport.commands.set_info import set_info
from smbport.commands.steps import Blocking, Step
from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Account, Stat, Volume
from smbport.security.auth import Authenticator
from smbport.state.connection import Connection
from smbport.state.open import FileOpen, Open
from smbport.state.server import Runtime, Server
from smbport.state.session import Session
from smbport.state.settings import Settings, ShareSettings
from smbport.state.tree import TreeConnect
from smbport.testing.calls import wrap
from smbport.testing.client import Client, DirectLink, FileId
from smbport.testing.direct import DirectConnection, PlainEvent, new_server
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, Command, CreateDisposition, Dialect, InfoType
from smbport.wire.create import CreateRequest, CreateResponse, pack_create_request
from smbport.wire.directory import QueryDirectoryRequest, pack_query_directory_request
from smbport.wire.fscc_directory import DirectoryEntry, parse_directory_entries
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.info import (
    QueryInfoRequest,
    QueryInfoResponse,
    SetInfoRequest,
    pack_query_info_request,
    pack_set_info_request,
    query_info_output,
)
from smbport.wire.ioctl import IoctlRequest, IoctlResponse, ioctl_output, pack_ioctl_request
from smbport.wire.status import Status, StatusError, status_name

START_NS = 1_700_000_000 * 10**9

# Handlers by hand -----------------------------------------------------------------------------------------------


class Share:
    """One share, one session, one connection of dialect 3.1.1."""

    def __init__(self, *, sensitive: bool = False, read_only: bool = False, **features: object) -> None:
        """`sensitive` and `read_only` are the share's; other keywords alter what the volume says of itself."""
        self.faults = Faults()
        self.inner = MemoryPlatform()
        platform = wrap(
            self.faults.wrap(self.inner),
            lambda call: call.proceed(),
            alter_features=lambda old: replace(old, **features),
        )
        share = ShareSettings(name="data", path="data", case_sensitive=sensitive, read_only=read_only)
        runtime = Runtime(now_ns=lambda: START_NS, random_bytes=lambda n: bytes(range(n)), new_event=PlainEvent)
        nobody = Authenticator(
            users=MemoryUsers({}), server_name="server", domain="", anonymous=False, guest=False, random_bytes=bytes
        )
        self.server = Server(Settings(shares=(share,)), platform, nobody, runtime)
        self.connection = Connection(self.server, "192.0.2.1")
        self.connection.dialect = Dialect.SMB_3_1_1
        self.session = Session(self.server, 1)
        served = self.server.find_share("data")
        assert served is not None
        self.tree = TreeConnect(self.session, 1, served, self.inner.account, served.volume)

    @property
    def volume(self) -> Volume:
        assert self.tree.volume is not None
        return self.tree.volume

    def make(self, path: str, data: bytes = b"", *, mode: int = 0o644) -> None:
        """A file on the volume, made behind the server's back."""
        file = self.volume.create(path, ACCESS_WRITE, mode)
        file.write_at(0, data)
        file.close()

    def make_directory(self, path: str, *, mode: int = 0o755) -> None:
        self.volume.make_directory(path, mode).close()

    def names(self, path: str = "") -> list[str]:
        """What is in a directory, sorted."""
        directory = self.volume.open(path, ACCESS_READ)
        assert directory.is_directory
        found = sorted(entry.name for entry in directory.entries(10000, stat=False))
        directory.close()
        return found

    def open(
        self, path: str, access: int = Access.FILE_ALL_ACCESS, *, share_access: int = 7, options: int = 0
    ) -> FileOpen:
        """An open as CREATE would make it."""
        wanted = ACCESS_NONE
        wanted |= ACCESS_READ if access & Access.READ_DATA else 0
        wanted |= ACCESS_WRITE if access & Access.WRITE_DATA else 0
        node = self.volume.open(path, wanted)
        ids = self.server.new_file_id()
        opened = FileOpen(
            self.tree,
            *ids,
            granted_access=access,
            share_access=share_access,
            create_options=options,
            node=node,
            path=path,
        )
        opened.shared = self.server.files.join(node.stat().key, opened)
        self.server.add_open(opened)
        return opened

    def call(self, opened: Open, body: bytes) -> Call:
        """A request on an open, as the dispatcher hands it to a handler."""
        message = memoryview(bytes(HEADER_SIZE) + body)
        call = Call(self.connection, Chain(sealed=None), Header.unpack_from(message), message)
        call.tree = opened.tree
        call.opened = opened
        return call

    def list(
        self, opened: Open, pattern: str = "*", *, info_class: int = 37, flags: int = 0, length: int = 65536
    ) -> list[DirectoryEntry]:
        """QUERY_DIRECTORY."""
        reply = run(self.start_list(opened, pattern, info_class=info_class, flags=flags, length=length))
        assert isinstance(reply.payload, bytes)
        assert len(reply.payload) <= length
        return parse_directory_entries(info_class, reply.payload)

    def start_list(
        self, opened: Open, pattern: str = "*", *, info_class: int = 37, flags: int = 0, length: int = 65536
    ) -> Coroutine[Step, Any, Reply]:
        request = QueryDirectoryRequest(
            file_information_class=info_class, flags=flags, file_id_persistent=0, file_id_volatile=0,
            output_buffer_length=length,
        )  # fmt: skip
        return query_directory(self.call(opened, pack_query_directory_request(request, pattern)), request)

    def query(
        self,
        opened: Open,
        info_class: int,
        *,
        info_type: int = InfoType.FILE,
        length: int = 65536,
        information: int = 0,
    ) -> Reply:
        """QUERY_INFO."""
        request = QueryInfoRequest(
            info_type=info_type, file_info_class=info_class, output_buffer_length=length,
            additional_information=information, file_id_persistent=0, file_id_volatile=0,
        )  # fmt: skip
        return run(query_info(self.call(opened, pack_query_info_request(request)), request))

    def data(self, opened: Open, info_class: int, **keywords: int) -> bytes:
        """What a QUERY_INFO that succeeds brings."""
        reply = self.query(opened, info_class, **keywords)
        assert reply.status == Status.SUCCESS
        return output_of(reply)

    def set(
        self, opened: Open, info_class: int, data: bytes, *, info_type: int = InfoType.FILE, information: int = 0
    ) -> None:
        """SET_INFO."""
        assert run(self.start_set(opened, info_class, data, info_type=info_type, information=information)).body

    def start_set(
        self, opened: Open, info_class: int, data: bytes, *, info_type: int = InfoType.FILE, information: int = 0
    ) -> Coroutine[Step, Any, Reply]:
        request = SetInfoRequest(
            info_type=info_type, file_info_class=info_class, additional_information=information,
            file_id_persistent=0, file_id_volatile=0,
        )  # fmt: skip
        body = pack_set_info_request(request, data)
        return set_info(self.call(opened, body), request)


def output_of(reply: Reply) -> bytes:
    """The buffer of a QUERY_INFO response, and that nothing is behind it."""
    message = bytes(HEADER_SIZE) + reply.body
    data = bytes(query_info_output(message, QueryInfoResponse.unpack_from(message, HEADER_SIZE)))
    assert len(message) == HEADER_SIZE + QueryInfoResponse.SIZE + len(data)
    return data


def run(handler: Coroutine[Step, Any, Reply]) -> Reply:
    """Drive a handler to its end; what would go to a thread runs here, with wait=True."""
    try:
        step = handler.send(None)
        while True:
            assert isinstance(step, Blocking)
            try:
                value = step.function(*step.args, **step.keywords, wait=True)
            except (OSError, StatusError) as error:
                step = handler.throw(error)
            else:
                step = handler.send(value)
    except StopIteration as stop:
        reply: Reply = stop.value
        return reply


@pytest.fixture
def new_share() -> Callable[..., Share]:
    return Share


@pytest.fixture
def share() -> Share:
    return Share()


@pytest.fixture
def refused() -> Callable[[int], AbstractContextManager[None]]:
    """`with refused(Status.X):` the StatusError that the block must raise."""
    return _refused


@contextmanager
def _refused(status: int) -> Iterator[None]:
    with pytest.raises(StatusError) as caught:
        yield
    assert status_name(caught.value.status) == status_name(status)


# Whole connections ----------------------------------------------------------------------------------------------


class Wire:
    """A server with one share `s`, whose files clients reach through frames and tests directly."""

    def __init__(
        self,
        *,
        share: Mapping[str, object] | None = None,
        accounts: Iterable[Account] = (),
        groups: Mapping[str, int] | None = None,
        capacity: int = 1 << 40,
        **settings: object,
    ) -> None:
        """`share` alters the settings of the share, other keywords those of the server."""
        self.faults = Faults()
        self.memory = MemoryPlatform(accounts=accounts, groups=groups or {}, capacity=capacity)
        self.volume = self.memory.open_volume("v")
        of_share: dict[str, Any] = {"name": "s", "path": "v", "run_as": "server", **(share or {})}
        of_server: dict[str, Any] = {"shares": (ShareSettings(**of_share),), **settings}
        self.users = MemoryUsers({"u": "p", "other": "q"})
        self.server = new_server(
            Settings(server_guid=bytes(range(16)), **of_server), self.faults.wrap(self.memory), self.users
        )

    def client(self, *, address: str = "192.0.2.1") -> "Peer":
        """A connection on which nothing was said."""
        return Peer(DirectConnection(self.server, address))

    def connect(
        self, user: str = "u", password: str = "p", *, dialect: int = Dialect.SMB_3_1_1, share: str | None = "s"
    ) -> "Peer":
        """A connection that is logged on and has a tree, unless `share` is None."""
        peer = self.client()
        peer.negotiate([dialect])
        peer.log_on(user, password)
        if share is not None:
            peer.tree = peer.tree_connect(share)
        return peer

    def make(self, path: str, data: bytes = b"", *, mode: int = 0o644, dos_attributes: int | None = None) -> None:
        """A file, made behind the server's back."""
        file = self.volume.create(path, ACCESS_WRITE, mode)
        file.write_at(0, data)
        if dos_attributes is not None:
            file.set_marks(dos_attributes, None)
        file.close()

    def make_directory(self, path: str, *, mode: int = 0o755) -> None:
        self.volume.make_directory(path, mode).close()

    def stat(self, path: str) -> Stat:
        return self.volume.stat(path)

    def content(self, path: str) -> bytes | None:
        """What a file holds; None if there is none."""
        try:
            node = self.volume.open(path, ACCESS_READ)
        except FileNotFoundError:
            return None
        assert not node.is_directory
        data = node.read_at(0, 1 << 20)
        node.close()
        return data

    def names(self, path: str = "") -> list[str]:
        """What is in a directory, sorted."""
        directory = self.volume.open(path, ACCESS_READ)
        assert directory.is_directory
        found = sorted(entry.name for entry in directory.entries(10000, stat=False))
        directory.close()
        return found

    def check_nothing_is_open(self) -> None:
        """No open, no shared state and no handle of the platform is left."""
        assert self.server.open_count == 0
        assert len(self.server.files) == 0
        assert self.memory.open_handles == 0


class Peer(Client):
    """A client with a tree, and with ways to say what honest ones do not."""

    def __init__(self, connection: DirectConnection) -> None:
        self._next_id = [0]  # in a list, because sessions on one connection share it
        super().__init__(DirectLink(connection))
        self.connection = connection
        self.tree = 0

    @property
    def message_id(self) -> int:
        return self._next_id[0]

    @message_id.setter
    def message_id(self, message_id: int) -> None:
        self._next_id[0] = message_id

    def beside(self) -> "Peer":
        """A client for another session on the same connection, not logged on yet."""
        other = Peer(self.connection)
        other.link, other._next_id, other._preauth = self.link, self._next_id, self._preauth
        other.dialect, other.cipher, other.signing_algorithm = self.dialect, self.cipher, self.signing_algorithm
        return other

    def open(self, name: str, access: int = Access.GENERIC_ALL, **keywords: Any) -> FileId:
        """CREATE in this client's tree; the file must exist."""
        return self.create(self.tree, name, access=access, **keywords)

    def make(self, name: str, access: int = Access.GENERIC_ALL, **keywords: Any) -> FileId:
        """CREATE of what is not there yet."""
        return self.create(self.tree, name, access=access, disposition=CreateDisposition.CREATE, **keywords)

    @staticmethod
    def create_body(name: str, contexts: Sequence[tuple[bytes, bytes]] = (), **fields: int) -> bytes:
        """A CREATE request for all rights that shares everything, but for `fields`."""
        values = {
            "requested_oplock_level": 0, "impersonation_level": 2, "desired_access": Access.GENERIC_ALL,
            "file_attributes": 0, "share_access": 7, "create_disposition": CreateDisposition.OPEN,
            "create_options": 0, **fields,
        }  # fmt: skip
        return pack_create_request(CreateRequest(**values), name, contexts)

    def try_create(
        self, name: str, access: int = Access.GENERIC_ALL, disposition: int = CreateDisposition.OPEN, options: int = 0,
        **more: Any,
    ) -> tuple[str, CreateResponse | None, bytes]:  # fmt: skip
        """CREATE, whatever comes of it: the status without STATUS_, the response, the frame."""
        sent = self.create_body(
            name, desired_access=access, create_disposition=disposition, create_options=options, **more
        )
        header, frame = self.ask(Command.CREATE, sent, tree_id=self.tree)
        response = None if header.status else CreateResponse.unpack_from(frame, HEADER_SIZE)
        return status_name(header.status).removeprefix("STATUS_"), response, frame

    def create_status(self, *args: Any, **keywords: Any) -> str:
        """The same, and closed again if it was opened."""
        status, response, _ = self.try_create(*args, **keywords)
        if response is not None:
            self.close(FileId(self.tree, response.file_id_persistent, response.file_id_volatile))
        return status

    def status(self, command: int, body: bytes) -> int:
        """How a request ends; what it asks for is worth at most one credit."""
        return self.ask(command, body, tree_id=self.tree)[0].status

    def frames(self, message: bytes | bytearray, *, plain: bool = False) -> list[tuple[Header, bytes]]:
        """The replies that come at once to one message, `plain` unless it is signed or sealed; none is awaited."""
        sent = bytes(message) if plain else self.protect(bytearray(message))
        return [(Header.unpack_from(frame), frame) for frame in self.connection.receive(sent)]

    @staticmethod
    def fsctl_body(code: int, data: bytes = b"", *, room: int = 1024, file: FileId | None = None, **more: int) -> bytes:
        """An IOCTL request; without a file it is asked of no open."""
        ids = (NO_FILE_ID, NO_FILE_ID) if file is None else (file.persistent, file.volatile)
        fields = {"file_id_persistent": ids[0], "file_id_volatile": ids[1], "max_output_response": room, **more}
        return pack_ioctl_request(IoctlRequest(ctl_code=code, **fields), data)

    def fsctl(self, code: int, data: bytes = b"", **keywords: Any) -> tuple[str, bytes]:
        """An FSCTL: the status without STATUS_, and the output, which a refusal may have too."""
        body = self.fsctl_body(code, data, **keywords)
        header, frame = self.ask(Command.IOCTL, body, tree_id=self.tree, payload=1 << 20)
        status = status_name(header.status).removeprefix("STATUS_")
        if int.from_bytes(frame[HEADER_SIZE : HEADER_SIZE + 2], "little") != IoctlResponse.STRUCTURE_SIZE:
            return status, b""
        response = IoctlResponse.unpack_from(frame, HEADER_SIZE)
        assert (response.ctl_code, response.input_count) == (code, 0)
        return status, bytes(ioctl_output(frame, response))

    def send(self, command: int, body: bytes, **keywords: int) -> list[tuple[Header, bytes]]:
        """The same with a message in this client's tree."""
        return self.frames(self.message(command, body, tree_id=self.tree, **keywords))

    def lie(self, command: int, body: bytes, *, least: int, fields: Sequence["Field"] = ()) -> set[int]:
        """The statuses of requests like this one that do not hold what they say; see `lies`."""
        return {self.status(command, bad) for bad in lies(body, least=least, fields=fields)}


Field = tuple[int, int, int, int]  # where in a body an offset stands, its width in bytes; a length, its width


def lies(body: bytes, *, least: int, fields: Sequence[Field] = ()) -> Iterator[bytes]:
    """StructureSize is wrong; the end comes after each even number of bytes below `least`; each field in four ways."""
    size = int.from_bytes(body[:2], "little")
    for wrong in (0, size - 1, size + 1, 0xFFFF):
        yield wrong.to_bytes(2, "little") + body[2:]
    for end in range(0, least, 2):
        yield body[:end]
    for offset_at, offset_width, length_at, length_width in fields:
        real = int.from_bytes(body[length_at : length_at + length_width], "little")
        assert real, "a field of no bytes cannot lie"
        offset = int.from_bytes(body[offset_at : offset_at + offset_width], "little")
        behind = HEADER_SIZE + len(body)
        # Inside the header, behind the end, longer than the message, and past the end of the numbers themselves.
        pairs = ((HEADER_SIZE - 8, real), (behind, real), (offset, behind), ((1 << 8 * offset_width) - 1, real))
        for bad_offset, bad_length in pairs:
            bad = bytearray(body)
            bad[offset_at : offset_at + offset_width] = bad_offset.to_bytes(offset_width, "little")
            bad[length_at : length_at + length_width] = bad_length.to_bytes(length_width, "little")
            yield bytes(bad)


@pytest.fixture
def stocked() -> Wire:
    """A share with a file `f`, a directory `d` and a file in it."""
    wire = Wire()
    wire.make("f", b"content")
    wire.make_directory("d")
    wire.make("d/x", b"deep")
    return wire


@pytest.fixture
def new_wire() -> Callable[..., Wire]:
    return Wire


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def peer(wire: Wire) -> Peer:
    """A client of the fixture `wire`, logged on as u, on the share s."""
    return wire.connect()
