"""A server on a volume in memory, and clients of it that can leave a request waiting."""

from collections.abc import Callable, Iterator

import pytest

from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import Client, DirectLink, FileId
from smbport.testing.direct import DirectConnection, new_server
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, Command, CreateDisposition, FileInfo, LockFlag, OplockLevel, ShareAccess
from smbport.wire.create import CreateRequest, CreateResponse, pack_create_request
from smbport.wire.echo import EchoRequest
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.header import HEADER_SIZE
from smbport.wire.info import SetInfoRequest, pack_set_info_request
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status, status_name

ALL = Access.FILE_ALL_ACCESS
SHARED = ShareAccess.READ | ShareAccess.WRITE | ShareAccess.DELETE


class Peer(Client):
    """A client with one tree."""

    link: DirectLink
    tree: int

    def open(self, name="f", access=ALL, *, disposition=CreateDisposition.OPEN_IF, **keywords) -> FileId:
        return self.create(self.tree, name, access=access, disposition=disposition, **keywords)

    def start_open(
        self, name="f", access=ALL, *, disposition=CreateDisposition.OPEN_IF, oplock=OplockLevel.NONE, options=0
    ) -> int:
        """Send a CREATE that has to wait."""
        request = CreateRequest(
            requested_oplock_level=oplock, impersonation_level=2, desired_access=access, file_attributes=0,
            share_access=SHARED, create_disposition=disposition, create_options=options,
        )  # fmt: skip
        return self._start_to_wait(Command.CREATE, pack_create_request(request, name))

    def start_set(self, file: FileId, info_class: int, data: bytes) -> int:
        """Send a SET_INFO that has to wait."""
        request = SetInfoRequest(
            info_type=1, file_info_class=info_class, additional_information=0, file_id_persistent=file.persistent,
            file_id_volatile=file.volatile,
        )  # fmt: skip
        return self._start_to_wait(Command.SET_INFO, pack_set_info_request(request, data))

    def _start_to_wait(self, command: int, body: bytes) -> int:
        message_id = self.start(command, body, tree_id=self.tree)
        interim, _ = self.receive()
        assert (interim.message_id, status_name(interim.status)) == (message_id, "STATUS_PENDING")
        return message_id

    def look(self) -> None:
        """Let the server go on with what waits and need not any more."""
        self.link.replies += self.link.connection.resume()

    def ends(self, message_id: int, status: int) -> bytes:
        """The end of a wait: by itself, or because the time is over."""
        header, frame = self.finish(message_id)
        assert status_name(header.status) == status_name(status)
        return frame

    def opens(self, message_id: int) -> tuple[FileId, int]:
        """The open that a CREATE ends with, and its CreateAction."""
        response = CreateResponse.unpack_from(self.ends(message_id, Status.SUCCESS), HEADER_SIZE)
        ids = response.file_id_persistent, response.file_id_volatile
        return FileId(self.tree, *ids, response.oplock_level), response.create_action

    def heard(self) -> list[tuple[int, int]]:
        """The breaks since the last time: files and levels."""
        self.call(Command.ECHO, EchoRequest().pack())
        breaks, self.breaks = self.breaks, []
        return [(notification.file_id_volatile, notification.oplock_level) for notification in breaks]

    def hears(self, file: FileId, level: int) -> None:
        assert self.heard() == [(file.volatile, level)]

    def lock(self, file: FileId, flags: int = LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY) -> None:
        request = LockRequest(lock_sequence=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
        body = pack_lock_request(request, [LockElement(offset=0, length=1, flags=flags)])
        self.call(Command.LOCK, body, tree_id=self.tree)

    def rename(self, file: FileId, name: str, *, replace: bool = True) -> None:
        information = FileRenameInformation(replace_if_exists=replace, root_directory=0)
        self.set_info(file, FileInfo.RENAME, pack_with_name(information, name))


class World:
    """The server, and clients."""

    def __init__(self, *, share_encryption: str = "offered", **settings: object) -> None:
        self.faults, self.memory = Faults(), MemoryPlatform()
        share = ShareSettings(name="s", path="v", run_as="server", encryption=share_encryption)
        settings = Settings(**{"server_guid": bytes(range(16)), "shares": (share,), "oplocks": "all", **settings})
        self.server = new_server(settings, self.faults.wrap(self.memory), MemoryUsers({"u": "p"}))
        self.peers: list[Peer] = []

    def peer(self, *, seal: bool = False) -> Peer:
        peer = Peer(DirectLink(DirectConnection(self.server)))
        peer.negotiate()
        peer.log_on("u", "p")
        peer.seal = seal
        peer.tree = peer.tree_connect("s")
        self.peers.append(peer)
        return peer

    def held(self, level: int, **keywords: object) -> tuple[Peer, Peer, FileId]:
        """Two clients; the first has the file "f" open, with an oplock."""
        one, other = self.peer(), self.peer()
        file = one.open(oplock=level, **keywords)
        assert file.oplock_level == level
        return one, other, file


@pytest.fixture
def new_world() -> Iterator[Callable[..., World]]:
    """Makes worlds in which nothing is left when all clients are gone."""
    worlds: list[World] = []

    def new_world(**settings: object) -> World:
        worlds.append(World(**settings))
        return worlds[-1]

    yield new_world
    for world in worlds:
        for peer in world.peers:
            peer.link.close()
        server = world.server
        assert (server.open_count, len(server.files), world.memory.open_handles, server.bugs) == (0, 0, 0, 0)


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()
