"""A share in memory with handlers that are driven by hand, one request at a time."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from smbport.commands.call import Call, Chain, Reply
from smbport.commands.query_directory import query_directory
from smbport.commands.query_info import query_info
from smbport.commands.set_info import set_info
from smbport.commands.steps import Blocking, Step
from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Volume
from smbport.security.auth import Authenticator
from smbport.state.connection import Connection
from smbport.state.open import FileOpen, Open
from smbport.state.server import Runtime, Server
from smbport.state.session import Session
from smbport.state.settings import Settings, ShareSettings
from smbport.state.tree import TreeConnect
from smbport.testing.calls import wrap
from smbport.testing.direct import PlainEvent
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.wire.constants import Access, Dialect, InfoType
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
from smbport.wire.status import Status, StatusError, status_name

START_NS = 1_700_000_000 * 10**9


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
        self.server = Server(Settings(shares=(share,)), platform, cast("Authenticator", None), runtime)
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
