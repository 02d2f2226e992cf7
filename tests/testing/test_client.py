"""The client that tests and benchmarks are made with: honest, and not to be fooled."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import Client, DirectLink
from smbport.testing.direct import DirectConnection, new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.break_ import LeaseBreakNotification, OplockBreakNotification
from smbport.wire.constants import (
    Access,
    Cipher,
    Command,
    ContextTag,
    CreateDisposition,
    CreateOption,
    FileInfo,
    HeaderFlag,
    OplockLevel,
    SigningAlgorithm,
)
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.create_contexts import LeaseContextV2, LeaseState
from smbport.wire.echo import EchoRequest
from smbport.wire.fscc import FileEndOfFileInformation
from smbport.wire.fscc_directory import parse_directory_entries
from smbport.wire.header import Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, StatusError

ECHO = EchoRequest().pack()
KEY = bytes(range(16))


def new(**settings: Any) -> Any:
    share = ShareSettings(name="s", path="v", run_as="server")
    values = {"server_guid": bytes(range(16)), "shares": (share,), **settings}
    return new_server(Settings(**values), MemoryPlatform(), MemoryUsers({"u": "p"}))


def connect(server: Any = None, **negotiate: Any) -> Client:
    client = Client(DirectLink(DirectConnection(server or new())))
    client.negotiate(**negotiate)
    client.log_on("u", "p")
    return client


class Meddler(DirectLink):
    """Somebody on the way, who changes what the server says."""

    def __init__(self, server: Any) -> None:
        super().__init__(DirectConnection(server))
        self.change: Callable[[bytearray], None] = lambda frame: None

    def receive(self) -> bytes:
        frame = bytearray(super().receive())
        self.change(frame)
        return bytes(frame)


def flip(at: int) -> Callable[[bytearray], None]:
    def change(frame: bytearray) -> None:
        frame[at] ^= 1

    return change


# Logging on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0300, 0x0302, 0x0311])
def test_every_dialect(dialect: int) -> None:
    client = connect(dialects=[dialect])
    assert client.dialect == dialect
    tree = client.tree_connect("s")
    file = client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    assert client.write(file, 0, b"data") == 4
    assert client.read(file, 0, 4) == b"data"


def test_what_was_negotiated() -> None:
    client = connect()
    assert (client.dialect, client.cipher) == (0x0311, Cipher.AES_128_GCM)
    assert client.signing_algorithm == SigningAlgorithm.AES_GMAC
    assert len(client.session_key) == 16
    assert client.keys.signing


def test_without_ciphers_and_signing_algorithms() -> None:
    client = connect(ciphers=(), signing=())
    assert (client.cipher, client.sealer) == (None, None)
    assert client.signing_algorithm == SigningAlgorithm.AES_CMAC
    assert client.call(Command.ECHO, ECHO)


def test_no_cipher_in_common() -> None:
    assert connect(new(encryption="off")).cipher is None


def test_sealing_of_3_0() -> None:
    client = connect(dialects=[0x0300])
    client.seal = True
    assert client.cipher == Cipher.AES_128_CCM
    assert client.tree_connect("s")


def test_refusals_are_errors() -> None:
    client = Client(DirectLink(DirectConnection(new(dialects=(0x0202,)))))
    with pytest.raises(StatusError) as refused:
        client.negotiate([0x0311])
    assert refused.value.status == Status.NOT_SUPPORTED
    client = Client(DirectLink(DirectConnection(new())))
    client.negotiate()
    with pytest.raises(StatusError) as refused:
        client.log_on("u", "wrong")
    assert refused.value.status == Status.LOGON_FAILURE
    with pytest.raises(StatusError) as refused:
        connect().tree_connect("nosuch")
    assert refused.value.status == Status.BAD_NETWORK_NAME


def test_guids_are_the_clients_own_unless_given() -> None:
    first, second = (Client(DirectLink(DirectConnection(new()))) for _ in range(2))
    assert first.client_guid != second.client_guid
    assert Client(DirectLink(DirectConnection(new())), client_guid=b"x" * 16).client_guid == b"x" * 16


# It is not fooled ---------------------------------------------------------------------------------------------------


def test_a_negotiation_that_was_changed_is_found_at_logon() -> None:
    """The preauth hash goes into the keys, so the last answer of the logon is signed with others."""
    link = Meddler(new())
    client = Client(link)
    link.change = flip(64 + 40)  # system time
    client.negotiate()
    link.change = lambda frame: None
    with pytest.raises(ConnectionError, match="not signed rightly"):
        client.log_on("u", "p")


@pytest.mark.parametrize("at", [8, 24, 48, 64])
def test_an_answer_that_was_changed(at: int) -> None:
    link = Meddler(new())
    client = Client(link)
    client.negotiate()
    client.log_on("u", "p")
    link.change = flip(at)
    with pytest.raises(ConnectionError, match="signature is wrong"):
        client.call(Command.ECHO, ECHO)


def test_an_answer_that_lost_its_signature() -> None:
    link = Meddler(new())
    client = Client(link)
    client.negotiate()
    client.log_on("u", "p")
    link.change = lambda frame: frame.__setitem__(16, frame[16] & ~HeaderFlag.SIGNED)
    with pytest.raises(ConnectionError, match="answer with STATUS_SUCCESS is not signed"):
        client.call(Command.ECHO, ECHO)


def test_who_has_no_session_has_no_key() -> None:
    client = connect()
    client.call(Command.LOGOFF, LogoffRequest().pack())
    header, _ = client.ask(Command.LOGOFF, LogoffRequest().pack())
    assert header.status == Status.USER_SESSION_DELETED


def test_a_session_over_two_connections() -> None:
    server = new()
    first = connect(server)
    second = Client(DirectLink(DirectConnection(server)))
    second.negotiate()
    with pytest.raises(StatusError):
        second.bind(first, "u", "wrong")
    second.bind(first, "u", "p")
    tree = first.tree_connect("s")
    file = second.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    first.seal = second.seal = True
    first.write(file, 0, b"data")
    assert second.read(file, 0, 4) == b"data"
    assert len(server.sessions) == 1


def test_a_session_in_place_of_another() -> None:
    server = new()
    first, second = connect(server), Client(DirectLink(DirectConnection(server)))
    second.negotiate()
    second.log_on("u", "p", previous_session_id=first.session_id)
    assert list(server.sessions) == [second.session_id]


def test_nothing_is_to_be_expected() -> None:
    client = connect()
    with pytest.raises(ConnectionResetError):
        client.receive()


# Messages -----------------------------------------------------------------------------------------------------------


def test_credits_pay_for_the_payload() -> None:
    client = connect()
    tree = client.tree_connect("s")
    file = client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    before = client.message_id
    assert client.write(file, 0, bytes(200_000)) == 200_000
    assert client.message_id == before + 4
    assert client.credits > 1


def test_unsigned_and_sealed_requests() -> None:
    client = connect()
    client.sign = False
    assert not client.protect(client.message(Command.ECHO, ECHO))[16] & HeaderFlag.SIGNED
    client.sign, client.seal = True, True
    assert client.protect(client.message(Command.ECHO, ECHO))[:4] == b"\xfdSMB"


def test_interim_responses_are_passed_over() -> None:
    server = new()
    holder, waiter = connect(server), connect(server)
    files = []
    for client in (holder, waiter):
        tree = client.tree_connect("s")
        files.append(client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF))

    def start(client: Client, number: int) -> int:
        request = LockRequest(file_id_persistent=files[number].persistent, file_id_volatile=files[number].volatile)
        body = pack_lock_request(request, [LockElement(offset=0, length=1, flags=2)])
        return client.start(Command.LOCK, body, tree_id=files[number].tree_id)

    assert holder.finish(start(holder, 0))[0].status == Status.SUCCESS
    message_id = start(waiter, 1)
    holder.close(files[0])
    header, _ = waiter.finish(message_id)
    assert (header.status, header.message_id) == (Status.SUCCESS, message_id)


# Files --------------------------------------------------------------------------------------------------------------


def test_a_whole_life() -> None:
    client = connect()
    tree = client.tree_connect("s")
    root = client.create(tree, "", options=CreateOption.DIRECTORY_FILE)
    file = client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    client.write(file, 0, b"0123456789")
    client.flush(file)
    client.set_info(file, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=4).pack())
    assert client.read(file, 0, 100) == b"0123"
    entries = parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, client.query_directory(root))
    assert [entry.name for entry in entries] == [".", "..", "f"]
    assert int.from_bytes(client.query_info(file, FileInfo.STANDARD)[8:16], "little") == 4
    client.close(file)
    with pytest.raises(StatusError) as closed:
        client.read(file, 0, 1)
    assert closed.value.status == Status.FILE_CLOSED
    with pytest.raises(StatusError) as end:
        client.query_directory(root)
    assert end.value.status == Status.NO_MORE_FILES


@pytest.mark.parametrize("busy", [False, True])
def test_breaks(busy: bool) -> None:
    """They come unasked, also between a request and its answer, and are kept apart."""
    server = new()
    holder, other = connect(server), connect(server)
    tree, other_tree = holder.tree_connect("s"), other.tree_connect("s")
    held = holder.create(
        tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE, oplock=OplockLevel.BATCH
    )
    assert held.oplock_level == OplockLevel.BATCH
    request = CreateRequest(
        requested_oplock_level=0, impersonation_level=2, desired_access=Access.GENERIC_READ, file_attributes=0,
        share_access=7, create_disposition=CreateDisposition.OPEN, create_options=0,
    )  # fmt: skip
    message_id = other.start(Command.CREATE, pack_create_request(request, "f"), tree_id=other_tree)
    if busy:
        assert holder.call(Command.ECHO, ECHO)[0].command == Command.ECHO
    notification = holder.wait_for_break()
    assert isinstance(notification, OplockBreakNotification)
    assert notification.oplock_level == OplockLevel.LEVEL_II
    assert holder.acknowledge_break(held, OplockLevel.LEVEL_II) == OplockLevel.LEVEL_II
    assert other.finish(message_id)[0].status == Status.SUCCESS


def test_leases() -> None:
    server = new()
    holder, other = connect(server), connect(server)
    tree, other_tree = holder.tree_connect("s"), other.tree_connect("s")
    everything = LeaseState.READ_CACHING | LeaseState.HANDLE_CACHING | LeaseState.WRITE_CACHING
    asked = LeaseContextV2(lease_key=KEY, lease_state=everything, epoch=5)
    held = holder.create(
        tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE, oplock=OplockLevel.LEASE,
        contexts=[(ContextTag.LEASE, asked.pack())],
    )  # fmt: skip
    assert held.lease == LeaseContextV2(lease_key=KEY, lease_state=everything, epoch=6)
    with pytest.raises(StatusError) as refused:
        holder.acknowledge_lease_break(tree, KEY, 0)
    assert refused.value.status == Status.UNSUCCESSFUL
    opened = other.create(other_tree, "f", access=Access.GENERIC_READ)  # the time for an answer runs out
    assert (opened.oplock_level, opened.lease) == (0, None)
    notification = holder.wait_for_break()
    assert isinstance(notification, LeaseBreakNotification)
    assert (notification.lease_key, notification.new_lease_state) == (KEY, everything & ~LeaseState.WRITE_CACHING)


def test_closing_a_direct_link_ends_the_session() -> None:
    server = new()
    client = connect(server)
    client.link.close()
    assert not server.sessions


def test_headers_are_the_messages_own() -> None:
    client = connect()
    header = Header.unpack_from(client.message(Command.ECHO, ECHO, message_id=77, flags=4, tree_id=9))
    assert (header.message_id, header.flags, header.tree_id, header.session_id) == (77, 4, 9, client.session_id)
