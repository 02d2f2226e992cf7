"""A server on a volume in memory, and clients of it that can leave a request waiting."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import Client, DirectLink, FileId
from smbport.testing.direct import DirectConnection, new_server
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.break_ import LeaseBreakFlag, LeaseBreakNotification
from smbport.wire.constants import (
    Access,
    Command,
    ContextTag,
    CreateDisposition,
    FileInfo,
    LockFlag,
    OplockLevel,
    ShareAccess,
)
from smbport.wire.create import CreateRequest, CreateResponse, pack_create_request
from smbport.wire.create_contexts import LeaseContext, LeaseContextV2, LeaseFlag, LeaseState
from smbport.wire.echo import EchoRequest
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.info import SetInfoRequest, pack_set_info_request
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status, status_name

ALL = Access.FILE_ALL_ACCESS
SHARED = ShareAccess.READ | ShareAccess.WRITE | ShareAccess.DELETE


BITS = {"R": LeaseState.READ_CACHING, "W": LeaseState.WRITE_CACHING, "H": LeaseState.HANDLE_CACHING}


def bits(letters: str) -> int:
    return sum(BITS[letter] for letter in letters)


def letters(state: int) -> str:
    return "".join(letter for letter, bit in BITS.items() if state & bit)


def lease_key(key: int) -> bytes:
    return bytes([key]) * 16


def lease_context(key, wanted, *, version=2, epoch=0, parent=None, flags=0, **rest):
    """The context, and the keywords that are not about it."""
    if version == 1:
        context = LeaseContext(lease_key=lease_key(key), lease_state=bits(wanted), lease_flags=flags)
    else:
        context = LeaseContextV2(
            lease_key=lease_key(key),
            lease_state=bits(wanted),
            lease_flags=flags | (LeaseFlag.PARENT_LEASE_KEY_SET if parent is not None else 0),
            parent_lease_key=lease_key(parent or 0),
            epoch=epoch,
        )
    return (ContextTag.LEASE, context.pack()), rest


def describe(notification) -> tuple:
    if isinstance(notification, LeaseBreakNotification):
        had, left = letters(notification.current_lease_state), letters(notification.new_lease_state)
        assert notification.flags == (LeaseBreakFlag.ACK_REQUIRED if had != "R" else 0)
        return notification.lease_key[0], had, left
    return notification.file_id_volatile, notification.oplock_level


class Peer(Client):
    """A client with one tree."""

    link: DirectLink
    tree: int

    def open(self, name="f", access=ALL, *, disposition=CreateDisposition.OPEN_IF, **keywords) -> FileId:
        return self.create(self.tree, name, access=access, disposition=disposition, **keywords)

    lease_context = staticmethod(lambda key, wanted: lease_context(key, wanted)[0])

    def lease(self, key: int, wanted: str, name: str = "f", **keywords) -> FileId:
        """Open it and ask for a lease."""
        asked, rest = lease_context(key, wanted, **keywords)
        return self.open(name, oplock=OplockLevel.LEASE, contexts=[asked], **rest)

    def start_open(
        self, name="f", access=ALL, *, disposition=CreateDisposition.OPEN_IF, oplock=OplockLevel.NONE, options=0,
        share=SHARED, contexts=(),
    ) -> int:  # fmt: skip
        """Send a CREATE that has to wait."""
        request = CreateRequest(
            requested_oplock_level=oplock, impersonation_level=2, desired_access=access, file_attributes=0,
            share_access=share, create_disposition=disposition, create_options=options,
        )  # fmt: skip
        return self._start_to_wait(Command.CREATE, pack_create_request(request, name, contexts))

    def start_lease(self, key: int, wanted: str, name: str = "f", **keywords) -> int:
        """Send one that asks for a lease and has to wait."""
        asked, rest = lease_context(key, wanted, **keywords)
        return self.start_open(name, oplock=OplockLevel.LEASE, contexts=[asked], **rest)

    def start_set(self, file: FileId, info_class: int, data: bytes) -> int:
        """Send a SET_INFO that has to wait; nobody is told that it does."""
        request = SetInfoRequest(
            info_type=1, file_info_class=info_class, additional_information=0, file_id_persistent=file.persistent,
            file_id_volatile=file.volatile,
        )  # fmt: skip
        message_id = self.start(Command.SET_INFO, pack_set_info_request(request, data), tree_id=self.tree)
        assert message_id in self.link.connection.state.running
        assert all(Header.unpack_from(frame).message_id != message_id for frame in self.link.replies)
        return message_id

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
        frame = self.ends(message_id, Status.SUCCESS)
        return self.file_id(self.tree, frame), CreateResponse.unpack_from(frame, HEADER_SIZE).create_action

    def heard(self) -> list[tuple]:
        """The breaks since the last time: files and levels, or the keys of leases, what they had, and what is left."""
        self.call(Command.ECHO, EchoRequest().pack())
        while self.link.replies:
            self._take()
        breaks, self.breaks = self.breaks, []
        return [describe(notification) for notification in breaks]

    def hears(self, file: FileId, level: int) -> None:
        assert self.heard() == [(file.volatile, level)]

    def hears_of_lease(self, key: int, had: str, left: str) -> None:
        assert self.heard() == [(key, had, left)]

    def acknowledge(self, key: int, state: str) -> str:
        return letters(self.acknowledge_lease_break(self.tree, lease_key(key), bits(state)))

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
        share = ShareSettings(name="s", path="v", run_as="server", encryption=share_encryption, local_changes="none")
        settings = Settings(**{"server_guid": bytes(range(16)), "shares": (share,), **settings})
        self.server = new_server(settings, self.faults.wrap(self.memory), MemoryUsers({"u": "p", "v": "p"}))
        self.peers: list[Peer] = []
        self.skipped_ns = 0
        runtime = self.server.runtime
        self.server.runtime = replace(runtime, now_ns=lambda: runtime.now_ns() + self.skipped_ns)

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self.skipped_ns += round(seconds * 1e9)

    def peer(
        self,
        *,
        seal: bool = False,
        like: Peer | None = None,
        user: str = "u",
        capabilities: int = 0,
        **keywords: object,
    ) -> Peer:
        """A new client, or one more connection of another one."""
        peer = Peer(DirectLink(DirectConnection(self.server)), client_guid=like and like.client_guid)
        peer.capabilities |= capabilities
        peer.negotiate(**keywords)
        peer.log_on(user, "p")
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
