"""TREE_CONNECT and TREE_DISCONNECT: which share, and with whose rights."""

import errno
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from smbport.platform import Account
from smbport.security.auth import UserRecord, nt_hash
from smbport.state.settings import Limits, ShareSettings
from smbport.wire.constants import (
    Access,
    Command,
    CreateDisposition,
    CreateOption,
    Dialect,
    ShareFlag,
    ShareType,
)
from smbport.wire.header import HEADER_SIZE
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Disconnect, Status, StatusError, status_name
from smbport.wire.tree import TreeConnectResponse, TreeDisconnectRequest, pack_tree_connect_request

ALICE = Account("alice", 1001, 1001, (50,))
BOB = Account("bob", 1002, 1002)
NOBODY = Account("nobody", 65534, 65534)
EXTENSION = 0x0004  # SMB2_TREE_CONNECT_FLAG_EXTENSION_PRESENT
BYE = TreeDisconnectRequest().pack()


def ask(peer: Any, path: str, **keywords: int) -> tuple[int, int, TreeConnectResponse | None]:
    """Status, tree id, response."""
    header, frame = peer.ask(Command.TREE_CONNECT, pack_tree_connect_request(path, **keywords))
    response = None if header.status else TreeConnectResponse.unpack_from(frame, HEADER_SIZE)
    return header.status, header.tree_id, response


def status(peer: Any, share: str = "s") -> str:
    return status_name(ask(peer, f"\\\\server\\{share}")[0])


def tree_of(peer: Any, tree_id: int = 1) -> Any:
    return peer.connection.state.channels[peer.session_id].session.trees[tree_id]


def put(wire: Any, *names: str) -> None:
    """Users with the password p."""
    for name in names:
        wire.users.put(UserRecord(name, nt_hash("p")))


def guest(wire: Any, user: str = "guest") -> Any:
    """Logged on without a secret: the client must not expect a signature."""
    peer = wire.client()
    peer.negotiate()
    peer._is_authentic = lambda frame: True
    peer.log_on(user, "x")
    peer.signer = None
    return peer


# Shares ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["\\\\server\\s", "\\\\SERVER\\S", "\\\\192.0.2.7\\s", "\\\\\\s", "\\\\a.b.example\\S"]
)
def test_a_share_by_any_name_of_the_server(wire: Any, path: str) -> None:
    found, tree_id, response = ask(wire.connect(share=None), path)
    assert found == Status.SUCCESS
    assert tree_id == 1
    assert response == TreeConnectResponse(
        share_type=ShareType.DISK, share_flags=ShareFlag.MANUAL_CACHING, capabilities=0,
        maximal_access=Access.FILE_ALL_ACCESS,
    )  # fmt: skip


def test_ipc_is_always_there(new_wire: Callable[..., Any]) -> None:
    response = ask(new_wire(shares=()).connect(share=None), "\\\\server\\ipc$")[2]
    assert response is not None
    assert response.share_type == ShareType.PIPE
    assert not response.maximal_access & (Access.DELETE | Access.WRITE_DAC | Access.WRITE_OWNER)


@pytest.mark.parametrize("path", ["", "s", "\\s", "server\\s", "\\\\server", "\\", "\\\\"])
def test_what_is_no_path_of_a_share(wire: Any, path: str) -> None:
    assert ask(wire.connect(share=None), path)[0] == Status.INVALID_PARAMETER


@pytest.mark.parametrize(
    "share", ["", "nosuch", "s\\", "s\\d", "\\s", "s ", "s\0", "..", "IPC$\\srvsvc", "v", "s/../v"]
)
def test_what_is_no_share(wire: Any, share: str) -> None:
    """Neither a path below one, nor the place that it serves."""
    peer = wire.connect(share=None)
    assert status(peer, share) == "STATUS_BAD_NETWORK_NAME"
    assert tree_ids(peer) == []


def tree_ids(peer: Any) -> list[int]:
    return list(peer.connection.state.channels[peer.session_id].session.trees)


def test_a_request_that_lies(wire: Any) -> None:
    peer = wire.connect(share=None)
    body = pack_tree_connect_request("\\\\server\\s")
    assert peer.lie(Command.TREE_CONNECT, body, least=len(body), fields=[(4, 2, 6, 2)]) == {Status.INVALID_PARAMETER}
    assert tree_ids(peer) == []
    peer.tree = peer.tree_connect("s")
    assert peer.lie(Command.TREE_DISCONNECT, BYE, least=len(BYE)) == {Status.INVALID_PARAMETER}
    assert tree_ids(peer) == [peer.tree]


def test_half_a_character(wire: Any) -> None:
    peer = wire.connect(share=None)
    odd, lone = (
        bytearray(pack_tree_connect_request("\\\\server\\s")),
        bytearray(pack_tree_connect_request("\\\\server\\s")),
    )
    odd[6] -= 1
    lone[-2:] = b"\x00\xd8"
    assert peer.status(Command.TREE_CONNECT, bytes(odd)) == Status.INVALID_PARAMETER
    assert peer.status(Command.TREE_CONNECT, bytes(lone)) == Status.OBJECT_NAME_INVALID


def test_each_tree_has_its_own_id(wire: Any) -> None:
    peer = wire.connect(share=None)
    assert [ask(peer, f"\\\\server\\{share}")[1] for share in ("s", "s", "IPC$")] == [1, 2, 3]
    peer.tree = 2
    assert peer.status(Command.TREE_DISCONNECT, BYE) == Status.SUCCESS
    assert ask(peer, "\\\\server\\s")[1] == 4, "an id is not used again"


def test_trees_are_bounded(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(limits=Limits(trees_per_session=2)).connect()
    assert status(peer) == "STATUS_SUCCESS"
    assert status(peer) == "STATUS_INSUFFICIENT_RESOURCES"
    assert peer.status(Command.TREE_DISCONNECT, BYE) == Status.SUCCESS
    assert status(peer) == "STATUS_SUCCESS"


def test_an_extension_is_for_clusters(wire: Any) -> None:
    for dialect in (Dialect.SMB_3_1_1, Dialect.SMB_3_0):
        peer = wire.connect(share=None, dialect=dialect)
        expected = Status.INVALID_PARAMETER if dialect == Dialect.SMB_3_1_1 else Status.SUCCESS
        assert ask(peer, "\\\\server\\s", flags=EXTENSION)[0] == expected


# Signed or sealed --------------------------------------------------------------------------------


def connect_plainly(peer: Any) -> int:
    [(header, _)] = peer.frames(
        peer.message(Command.TREE_CONNECT, pack_tree_connect_request("\\\\server\\s")), plain=True
    )
    found: int = header.status
    return found


@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0300, 0x0302])
def test_before_3_1_1_signing_may_be_optional(new_wire: Callable[..., Any], dialect: int) -> None:
    assert connect_plainly(new_wire(signing="offered").connect(dialect=dialect)) == Status.SUCCESS


def test_3_1_1_wants_proof_that_nobody_changed_the_negotiation(new_wire: Callable[..., Any]) -> None:
    with pytest.raises(Disconnect, match="neither signed nor sealed"):
        connect_plainly(new_wire(signing="offered").connect())


def test_sealed_is_proof_too(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(signing="offered").connect(share=None)
    peer.seal = True
    assert status(peer) == "STATUS_SUCCESS"


def test_guests_have_no_proof(new_wire: Callable[..., Any]) -> None:
    peer = guest(new_wire(guest_account="nobody", share={"guest": True}))
    assert connect_plainly(peer) == Status.SUCCESS


def test_a_share_that_must_be_sealed(new_wire: Callable[..., Any]) -> None:
    """It says so; after that nothing about it is heard in plain."""
    wire = new_wire(share={"encryption": "required"})
    peer = wire.connect(share=None)
    _, peer.tree, response = ask(peer, "\\\\server\\s")
    assert response is not None
    assert response.share_flags & ShareFlag.ENCRYPT_DATA
    with pytest.raises(StatusError) as refused:
        peer.make("f")
    assert refused.value.status == Status.ACCESS_DENIED
    peer.seal = True
    peer.close(peer.make("f"))
    assert wire.names() == ["f"]


@pytest.mark.parametrize("dialect", [0x0202, 0x0210])
def test_it_is_closed_to_those_who_cannot_seal(new_wire: Callable[..., Any], dialect: int) -> None:
    peer = new_wire(share={"encryption": "required"}).connect(share=None, dialect=dialect)
    assert status(peer) == "STATUS_ACCESS_DENIED"
    assert tree_ids(peer) == []


# Who may connect ----------------------------------------------------------------------------------------------------


def test_the_list_of_users(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(share={"valid_users": ("U", "somebody")})
    assert status(wire.connect(share=None)) == "STATUS_SUCCESS"
    assert status(wire.connect("other", "q", share=None)) == "STATUS_ACCESS_DENIED"


@pytest.mark.parametrize(("listed", "access"), [("u", Access.FILE_ALL_ACCESS), ("other", 0x1200A9)])
def test_those_who_write_to_a_read_only_share(new_wire: Callable[..., Any], listed: str, access: int) -> None:
    wire = new_wire(share={"read_only": True, "write_users": (listed,)})
    response = ask(wire.connect(share=None), "\\\\server\\s")[2]
    assert response is not None
    assert response.maximal_access == access


@pytest.mark.parametrize(
    ("hosts", "admitted"),
    [
        ({"hosts_allow": (ip_network("192.0.2.0/24"),)}, True),
        ({"hosts_allow": (ip_network("198.51.100.0/24"),)}, False),
        ({"hosts_deny": (ip_network("192.0.2.1"),)}, False),
        ({"hosts_deny": (ip_network("192.0.2.2"),)}, True),
    ],
)
def test_hosts_from_which_one_may_connect(
    new_wire: Callable[..., Any], caplog: pytest.LogCaptureFixture, hosts: dict[str, object], admitted: bool
) -> None:
    peer = new_wire(share=hosts).connect(share=None)
    assert status(peer) == ("STATUS_SUCCESS" if admitted else "STATUS_ACCESS_DENIED")
    assert ("u at 192.0.2.1 may not connect to share s" in caplog.text) is not admitted
    assert status(peer, "IPC$") == "STATUS_SUCCESS"


def test_guests_only_where_they_are_welcome(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(
        guest_account="nobody",
        shares=(
            ShareSettings(name="open", path="v", run_as="server", guest=True),
            ShareSettings(name="closed", path="v", run_as="server"),
            ShareSettings(name="listed", path="v", run_as="server", guest=True, valid_users=("guest", "u")),
            ShareSettings(
                name="writers", path="v", run_as="server", guest=True, read_only=True, write_users=("guest",)
            ),
        ),
    )
    peer = guest(wire)
    assert [status(peer, share) for share in ("open", "closed", "listed", "IPC$")] == [
        "STATUS_SUCCESS", "STATUS_ACCESS_DENIED", "STATUS_ACCESS_DENIED", "STATUS_SUCCESS",
    ]  # fmt: skip
    assert not ask(peer, "\\\\server\\writers")[2].maximal_access & Access.WRITE_DATA  # type: ignore[union-attr]


def test_a_guest_by_the_name_of_a_user_in_a_list(new_wire: Callable[..., Any]) -> None:
    """The name that a guest gives counts for nothing."""
    wire = new_wire(
        guest_account="nobody", guest_on_bad_user=True, share={"guest": True, "valid_users": ("chief", "guest")}
    )
    assert status(guest(wire, "chief")) == "STATUS_ACCESS_DENIED"


# Whose rights the files are opened with ----------------------------------------------------------


def test_a_platform_without_accounts_serves_all_as_itself(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(share={"run_as": "client"}).connect()
    assert tree_of(peer).account.name == "server"


def test_as_the_server(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(accounts=[ALICE], share={"run_as": "server"}).connect()
    assert tree_of(peer).account.name == "server"


def test_as_the_client(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], share={"run_as": "client"})
    put(wire, "alice")
    peer = wire.connect("alice")
    assert tree_of(peer).account == ALICE
    wire.volume.open("", 0).set_mode(0o777)
    peer.close(peer.make("f"))
    assert (wire.stat("f").uid, wire.stat("f").gid) == (1001, 1001)


def test_a_client_without_an_account_is_refused_and_never_root(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], share={"run_as": "client"})
    put(wire, "server", "stranger")
    wire.users.put(UserRecord("sly", nt_hash("p"), account="server"))
    for user in ("stranger", "server", "sly", "u"):
        peer = wire.connect(user, share=None)
        assert status(peer) == "STATUS_ACCESS_DENIED"
        assert status(peer, "IPC$") == "STATUS_SUCCESS"


def test_as_a_named_account(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE, BOB], share={"run_as": "bob"})
    put(wire, "alice")
    for user in ("alice", "u"):
        assert tree_of(wire.connect(user)).account == BOB


def test_a_named_account_that_is_gone(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], share={"run_as": "gone"})
    put(wire, "alice")
    assert status(wire.connect("alice", share=None)) == "STATUS_ACCESS_DENIED"


@pytest.mark.parametrize(("setting", "account"), [("nobody", "nobody"), ("server", "server")])
def test_guests(new_wire: Callable[..., Any], setting: str, account: str) -> None:
    wire = new_wire(accounts=[ALICE, NOBODY], guest_account=setting, share={"run_as": "client", "guest": True})
    peer = guest(wire)
    assert status(peer) == "STATUS_SUCCESS"
    assert tree_of(peer).account.name == account


def test_guests_whose_account_is_gone(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], guest_account="gone", share={"run_as": "client", "guest": True})
    assert status(guest(wire)) == "STATUS_ACCESS_DENIED"


def test_guests_as_the_server_are_so_only_where_clients_are_themselves(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], guest_account="server", share={"run_as": "alice", "guest": True})
    peer = guest(wire)
    assert status(peer) == "STATUS_SUCCESS"
    assert tree_of(peer).account == ALICE


def test_force_group(new_wire: Callable[..., Any]) -> None:
    """New files belong to the group; the groups of the user still count."""
    wire = new_wire(accounts=[ALICE], groups={"team": 70}, share={"run_as": "client", "force_group": "team"})
    put(wire, "alice")
    peer = wire.connect("alice")
    assert tree_of(peer).account == Account("alice", 1001, 70, (50, 1001))
    wire.volume.open("", 0).set_mode(0o777)
    peer.close(peer.make("f"))
    assert (wire.stat("f").uid, wire.stat("f").gid) == (1001, 70)


def test_a_group_that_is_gone(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], share={"run_as": "client", "force_group": "team"})
    put(wire, "alice")
    assert status(wire.connect("alice", share=None)) == "STATUS_ACCESS_DENIED"


def test_look_ups_may_take_threads(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE, BOB], groups={"team": 70}, share={"run_as": "bob", "force_group": "team"})
    wire.faults.force_threads("Identity.find_account")
    wire.faults.force_threads("Identity.find_group")
    put(wire, "alice")
    assert tree_of(wire.connect("alice")).account.gid == 70


@pytest.mark.parametrize("call", ["Identity.find_account", "Identity.find_group"])
def test_look_ups_that_fail(new_wire: Callable[..., Any], call: str) -> None:
    wire = new_wire(accounts=[ALICE, BOB], groups={"team": 70}, share={"run_as": "bob", "force_group": "team"})
    put(wire, "alice")
    peer = wire.connect("alice", share=None)
    wire.faults.fail(call, errno.EIO)
    assert status(peer) == "STATUS_UNEXPECTED_IO_ERROR"
    assert tree_ids(peer) == []
    assert status(peer) == "STATUS_SUCCESS"


def test_two_users_on_one_connection_keep_their_own_rights(new_wire: Callable[..., Any]) -> None:
    """Also when one comes in while the other is in a thread."""
    wire = new_wire(accounts=[ALICE, BOB], share={"run_as": "client"})
    put(wire, "alice", "bob")
    wire.volume.open("", 0).set_mode(0o777)
    alice = wire.connect("alice")
    bob = alice.beside()
    bob.log_on("bob", "p")
    bob.tree = bob.tree_connect("s")
    secret = alice.make("secret")
    alice.write(secret, 0, b"hers")
    alice.close(secret)
    node = wire.volume.open("secret", 0)
    node.set_mode(0o600)
    node.close()
    wire.faults.force_threads("Volume.open")
    meanwhile: list[int] = []

    def pry() -> None:
        with pytest.raises(StatusError) as refused:
            bob.open("secret", Access.GENERIC_READ)
        meanwhile.append(refused.value.status)

    for _ in range(3):
        wire.faults.do_before("Volume.open", pry)
        file = alice.open("secret", Access.GENERIC_READ)
        assert alice.read(file, 0, 10) == b"hers"
        alice.close(file)
    assert meanwhile == [Status.ACCESS_DENIED] * 3


def test_a_logoff_while_the_account_is_looked_up(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(accounts=[ALICE], share={"run_as": "alice"})
    peer = wire.connect(share=None)
    wire.faults.force_threads("Identity.find_account")
    off: list[int] = []
    wire.faults.do_before(
        "Identity.find_account", lambda: off.append(peer.status(Command.LOGOFF, LogoffRequest().pack()))
    )
    assert status(peer) == "STATUS_USER_SESSION_DELETED"
    assert off == [Status.SUCCESS]
    assert not wire.server.sessions


# TREE_DISCONNECT ----------------------------------------------------------------------------------------------------


def test_disconnecting_closes_what_is_open(wire: Any) -> None:
    peer = wire.connect()
    file = peer.make("f")
    doomed = peer.make("doomed", options=CreateOption.DELETE_ON_CLOSE)
    assert (file.tree_id, doomed.tree_id) == (1, 1)
    assert peer.status(Command.TREE_DISCONNECT, BYE) == Status.SUCCESS
    assert wire.names() == ["f"]
    wire.check_nothing_is_open()
    assert peer.status(Command.TREE_DISCONNECT, BYE) == Status.NETWORK_NAME_DELETED


def test_other_trees_stay(wire: Any) -> None:
    peer = wire.connect()
    file = peer.make("f")
    peer.tree = peer.tree_connect("s")
    kept = peer.open("f")
    peer.tree = file.tree_id
    assert peer.status(Command.TREE_DISCONNECT, BYE) == Status.SUCCESS
    peer.write(kept, 0, b"x")
    with pytest.raises(StatusError) as gone:
        peer.write(file, 0, b"x")
    assert gone.value.status == Status.NETWORK_NAME_DELETED


def test_a_tree_of_another_session_is_no_tree(wire: Any) -> None:
    first = wire.connect()
    first.tree = first.tree_connect("s")
    second = wire.connect("other", "q", share=None)
    second.tree = first.tree
    assert second.status(Command.TREE_DISCONNECT, BYE) == Status.NETWORK_NAME_DELETED
    assert first.create(first.tree, "f", disposition=CreateDisposition.OPEN_IF)


def test_a_disconnect_may_take_a_thread(wire: Any) -> None:
    wire.faults.force_threads()
    peer = wire.connect()
    peer.make("doomed", options=CreateOption.DELETE_ON_CLOSE)
    assert peer.status(Command.TREE_DISCONNECT, BYE) == Status.SUCCESS
    assert wire.names() == []
    wire.check_nothing_is_open()
