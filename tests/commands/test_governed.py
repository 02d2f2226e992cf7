"""Shares where stored descriptors decide, from the request to the file."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.governed import READERS
from smbport.platform import ACCESS_NONE, Account, Kind
from smbport.security.ntacl import SystemState, pack_stored, parse_stored
from smbport.users import MemoryUsers
from smbport.wire.constants import (
    Access,
    AceFlag,
    AceType,
    ContextTag,
    CreateDisposition,
    CreateOption,
    Dialect,
    FileAttribute,
    FileInfo,
    FsInfo,
    InfoType,
    SecurityInformation,
)
from smbport.wire.create import CreateResponse, create_contexts
from smbport.wire.create_contexts import MaximalAccessResponse
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.fscc_directory import parse_directory_entries
from smbport.wire.fscc_volume import FileSystemAttribute
from smbport.wire.header import HEADER_SIZE
from smbport.wire.security import Ace, Acl, SecurityDescriptor, Sid, WellKnownSid, unix_group_sid, unix_user_sid
from smbport.wire.status import StatusError, status_name

ALICE, OTHER = unix_user_sid(1000), unix_user_sid(1001)
EVERYONE = WellKnownSid.EVERYONE
READ, WRITE, ALL = Access.FILE_GENERIC_READ, Access.FILE_GENERIC_WRITE, Access.FILE_ALL_ACCESS
OI, CI = AceFlag.OBJECT_INHERIT, AceFlag.CONTAINER_INHERIT
PARTS = SecurityInformation.OWNER | SecurityInformation.GROUP | SecurityInformation.DACL
DELETE_ON_CLOSE = CreateOption.DELETE_ON_CLOSE
NAME = "security.NTACL"
Make = Callable[..., Any]


def allow(sid: Sid, mask: int, flags: int = 0) -> Ace:
    return Ace(AceType.ACCESS_ALLOWED, flags, mask, sid)


def deny(sid: Sid, mask: int, flags: int = 0) -> Ace:
    return Ace(AceType.ACCESS_DENIED, flags, mask, sid)


@pytest.fixture
def new_world(new_wire: Make) -> Make:
    """A server whose users `u` (uid 1000) and `other` (uid 1001) act as accounts of their own."""

    def make(**settings: Any) -> Any:
        share = {"acl": "nt", "run_as": "client", **settings.pop("share", {})}
        accounts = (Account("u", 1000, 100, (100,)), Account("other", 1001, 101, (101,)))
        wire = new_wire(share=share, accounts=accounts, **settings)
        root = wire.volume.open("", ACCESS_NONE)
        root.set_mode(0o777)
        root.close()
        return wire

    return make


@pytest.fixture
def world(new_world: Make) -> Any:
    return new_world()


def set_acl(peer: Any, name: str, *aces: Ace, **fields: Any) -> None:
    """Let these be the DACL of a file, or of a directory."""
    file = peer.open(name, Access.WRITE_DAC)
    descriptor = SecurityDescriptor(dacl=Acl(aces), **fields)
    peer.set_info(file, 0, descriptor.pack(), info_type=InfoType.SECURITY, additional=SecurityInformation.DACL)
    peer.close(file)


def get_acl(peer: Any, name: str, parts: int = PARTS, access: int = Access.READ_CONTROL) -> SecurityDescriptor:
    file = peer.open(name, access)
    data = peer.query_info(file, 0, info_type=InfoType.SECURITY, additional=parts)
    peer.close(file)
    return SecurityDescriptor.parse(data)


def is_governed(wire: Any, path: str) -> bool:
    node = wire.volume.open(path, ACCESS_NONE)
    found = wire.memory.acl.descriptor(node, NAME)
    node.close()
    return found is not None


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(StatusError) as caught:
        action()
    return status_name(caught.value.status).removeprefix("STATUS_")


def listing(peer: Any) -> set[str]:
    directory = peer.open("", Access.READ_DATA, options=CreateOption.DIRECTORY_FILE)
    names = {
        entry.name for entry in parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, peer.query_directory(directory))
    }
    peer.close(directory)
    return names


# Who decides ----------------------------------------------------------------------------------------------------


def test_plain_files_are_left_to_the_system(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    assert not is_governed(world, "a")
    assert world.stat("a").uid == 1000
    assert other.create_status("a", READ) == "SUCCESS"
    assert other.create_status("a", WRITE) == "ACCESS_DENIED"
    assert get_acl(other, "a").owner == ALICE


def test_a_stored_descriptor_decides_alone(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    set_acl(alice, "a", allow(ALICE, ALL), allow(OTHER, READ | WRITE))
    assert is_governed(world, "a")
    assert other.create_status("a", READ | WRITE) == "SUCCESS"
    set_acl(alice, "a", deny(OTHER, READ), allow(EVERYONE, ALL))
    assert other.create_status("a", Access.READ_DATA) == "ACCESS_DENIED"
    assert other.create_status("a", Access.WRITE_DATA) == "SUCCESS"
    assert get_acl(alice, "a").dacl == Acl((deny(OTHER, READ), allow(EVERYONE, ALL)))
    world.check_nothing_is_open()


def test_local_programs_see_about_the_same(world):
    alice = world.connect("u")
    alice.close(alice.make("a"))
    set_acl(alice, "a", allow(ALICE, READ), allow(unix_group_sid(100), WRITE))
    assert world.stat("a").mode == 0o420
    set_acl(alice, "a", allow(OTHER, ALL))  # which takes a list, and this system has none
    assert world.stat("a").mode == 0o000


def test_attributes_do_not_follow_the_mode(world):
    """A mode without write bits would mean READONLY, and so refuse whom the descriptor lets write."""
    alice, other = world.connect("u"), world.connect("other", "q")
    world.make(".a", mode=0o644)
    node = world.volume.open(".a", ACCESS_NONE)
    node.set_owner(1000, 100)
    node.close()
    set_acl(alice, ".a", allow(OTHER, READ | WRITE))
    assert world.stat(".a").mode == 0o000
    assert world.stat(".a").dos_attributes == FileAttribute.HIDDEN
    assert other.create_status(".a", WRITE) == "SUCCESS"
    alice.close(alice.make("d", options=CreateOption.DIRECTORY_FILE))
    set_acl(alice, "d", allow(OTHER, ALL, OI | CI))
    sub = {"disposition": CreateDisposition.CREATE, "options": CreateOption.DIRECTORY_FILE}
    assert other.create_status("d\\sub", ALL, **sub) == "SUCCESS"
    assert world.stat("d/sub").dos_attributes == 0


def test_a_local_change_ends_it(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    set_acl(alice, "a", allow(ALICE, ALL), allow(OTHER, ALL))
    node = world.volume.open("a", ACCESS_NONE)
    node.set_mode(0o600)
    node.close()
    assert other.create_status("a", READ) == "ACCESS_DENIED"
    assert alice.create_status("a", READ | WRITE) == "SUCCESS"


def test_what_cannot_be_understood_grants_nothing_but_to_mend_it(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    node = world.volume.open("a", ACCESS_NONE)
    world.memory.acl.set_descriptor(node, NAME, b"\4\0\4\0 and then it ends")
    node.close()
    assert other.create_status("a", Access.READ_CONTROL) == "ACCESS_DENIED"
    assert alice.create_status("a", READ) == "ACCESS_DENIED"
    set_acl(alice, "a", allow(ALICE, ALL))
    assert alice.create_status("a", READ) == "SUCCESS"


def test_only_the_owner_of_a_plain_file_may_let_it_be_governed(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    assert other.create_status("a", Access.WRITE_DAC) == "ACCESS_DENIED"
    assert other.create_status("a", Access.WRITE_OWNER) == "ACCESS_DENIED"
    file = other.open("a", Access.MAXIMUM_ALLOWED)
    granted = int.from_bytes(other.query_info(file, FileInfo.ACCESS), "little")
    assert granted & Access.READ_DATA
    assert not granted & (Access.WRITE_DAC | Access.WRITE_OWNER)


def test_an_administrator_takes_ownership(new_world):
    world = new_world(administrators=("OTHER",))
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("plain"))
    alice.close(alice.make("a"))
    set_acl(alice, "a", allow(ALICE, ALL))
    for name in ("a", "plain"):
        file = other.open(name, Access.WRITE_OWNER)
        mine = SecurityDescriptor(owner=OTHER)
        other.set_info(file, 0, mine.pack(), info_type=InfoType.SECURITY, additional=SecurityInformation.OWNER)
        other.close(file)
        assert get_acl(other, name).owner == OTHER
        assert world.stat(name).uid == 1001
    assert other.create_status("plain", Access.WRITE_DAC) == "SUCCESS"


def test_the_maximum(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    set_acl(alice, "a", allow(OTHER, READ | Access.DELETE))
    file = other.open("a", Access.MAXIMUM_ALLOWED)
    assert int.from_bytes(other.query_info(file, FileInfo.ACCESS), "little") == READ | Access.DELETE
    status, _, frame = other.try_create("a", Access.READ_DATA, contexts=[(ContextTag.MAXIMAL_ACCESS, b"")])
    assert status == "SUCCESS"
    response = CreateResponse.unpack_from(frame, HEADER_SIZE)
    answer = MaximalAccessResponse.unpack_from(dict(create_contexts(frame, response, limit=4))[b"MxAc"])
    assert answer.maximal_access == READ | Access.DELETE


def test_a_read_only_share_limits_the_maximum(new_world):
    world = new_world(share={"read_only": True})
    world.make("a", mode=0o666)
    descriptor = SecurityDescriptor(owner=ALICE, dacl=Acl((allow(EVERYONE, ALL),)))
    store(world, "a", descriptor)
    peer = world.connect("u")
    file = peer.open("a", Access.MAXIMUM_ALLOWED)
    granted = int.from_bytes(peer.query_info(file, FileInfo.ACCESS), "little")
    assert granted == READ | Access.FILE_GENERIC_EXECUTE


def store(world: Any, path: str, descriptor: SecurityDescriptor) -> None:
    """As another server would have done it."""
    node = world.volume.open(path, ACCESS_NONE)
    world.memory.acl.set_descriptor(node, NAME, pack_stored(descriptor, SystemState.of(node.stat())))
    node.close()


def test_overwriting_takes_more_than_opening(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    set_acl(alice, "a", allow(OTHER, READ))
    for disposition in (CreateDisposition.OVERWRITE, CreateDisposition.SUPERSEDE):
        assert other.create_status("a", READ, disposition) == "ACCESS_DENIED"
    set_acl(alice, "a", allow(OTHER, READ | Access.WRITE_DATA))
    assert other.create_status("a", READ, CreateDisposition.OVERWRITE) == "SUCCESS"
    assert world.stat("a").size == 0


def test_that_the_name_is_taken_comes_before_rights(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    set_acl(alice, "a")
    assert other.create_status("A", ALL, CreateDisposition.CREATE) == "OBJECT_NAME_COLLISION"


def test_links_and_other_kinds_are_left_to_the_system(world):
    world.volume.make_special("fifo", Kind.FIFO, 0o666)
    peer = world.connect("u")
    assert peer.create_status("fifo", Access.READ_ATTRIBUTES) == "SUCCESS"
    assert peer.create_status("fifo", READERS) == "ACCESS_DENIED"


def test_a_name_that_changes_hands_meanwhile(world):
    alice = world.connect("u")
    for name in ("a", "b"):
        alice.close(alice.make(name))
        set_acl(alice, name, allow(EVERYONE, ALL))
    # Between the look at the descriptor and the opening for reading, "a" becomes another file.
    root = world.memory.open_volume("v")
    world.faults.do_before("Volume.open", lambda: root.rename("b", "a", replace=True), nth=2)
    file = alice.open("a", READ)
    alice.close(file)
    assert world.names() == ["a"]
    world.check_nothing_is_open()


# Making files ---------------------------------------------------------------------------------------------------


def test_new_files_inherit(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("d", options=CreateOption.DIRECTORY_FILE))
    creator = WellKnownSid.CREATOR_OWNER
    set_acl(
        alice, "d", allow(ALICE, ALL), allow(OTHER, Access.ADD_FILE), allow(creator, ALL, OI), allow(EVERYONE, READ, OI)
    )
    assert world.stat("d").mode == 0o744
    file = other.make("d\\f", ALL)
    other.close(file)
    made = get_acl(other, "d\\f")
    assert (made.owner, made.group) == (OTHER, unix_group_sid(101))
    assert made.dacl == Acl((allow(OTHER, ALL), allow(EVERYONE, READ)))
    assert (world.stat("d/f").uid, world.stat("d/f").gid, world.stat("d/f").mode) == (1001, 101, 0o744)
    made_directory = {"disposition": CreateDisposition.CREATE, "options": CreateOption.DIRECTORY_FILE}
    assert other.create_status("d\\sub", ALL, **made_directory) == "ACCESS_DENIED"
    assert alice.create_status("d\\sub", ALL, **made_directory) == "SUCCESS"
    world.check_nothing_is_open()


def test_nothing_to_inherit_makes_it_the_owners(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("d", options=CreateOption.DIRECTORY_FILE))
    set_acl(alice, "d", allow(EVERYONE, ALL))
    alice.close(alice.make("d\\f", ALL))
    assert get_acl(alice, "d\\f").dacl == Acl((allow(ALICE, ALL), allow(WellKnownSid.SYSTEM, ALL)))
    assert other.create_status("d\\f", Access.READ_DATA) == "ACCESS_DENIED"


def test_nothing_is_made_in_a_directory_that_has_no_descriptor_yet(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    statuses = []

    def meanwhile():
        statuses.append(other.create_status("d\\f", ALL, CreateDisposition.CREATE))

    world.faults.do_before("AccessControl.set_descriptor", meanwhile)
    wanted = SecurityDescriptor(dacl=Acl((allow(ALICE, ALL),)))
    contexts = [(ContextTag.SECURITY_DESCRIPTOR, wanted.pack())]
    alice.close(alice.make("d", options=CreateOption.DIRECTORY_FILE, contexts=contexts))
    statuses.append(other.create_status("d\\f", ALL, CreateDisposition.CREATE))
    assert statuses == ["OBJECT_PATH_NOT_FOUND", "ACCESS_DENIED"]
    assert alice.create_status("d\\f", ALL, CreateDisposition.CREATE) == "SUCCESS"


def test_a_descriptor_may_come_with_the_file(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    wanted = SecurityDescriptor(dacl=Acl((allow(ALICE, Access.GENERIC_ALL),)))
    alice.close(alice.make("a", contexts=[(ContextTag.SECURITY_DESCRIPTOR, wanted.pack())]))
    assert get_acl(alice, "a").dacl == Acl((allow(ALICE, ALL),))
    assert other.create_status("a", Access.READ_CONTROL) == "ACCESS_DENIED"


def test_a_file_that_cannot_have_its_descriptor_is_not_made(world):
    alice = world.connect("u")
    foreign = SecurityDescriptor(owner=OTHER)
    contexts = [(ContextTag.SECURITY_DESCRIPTOR, foreign.pack())]
    status, _, _ = alice.try_create("a", ALL, CreateDisposition.CREATE, contexts=contexts)
    assert status in ("INVALID_OWNER", "0xC000005A")
    assert world.names() == []
    world.check_nothing_is_open()


# Names ----------------------------------------------------------------------------------------------------------


def test_deletion_by_the_file_or_by_its_directory(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("d", options=CreateOption.DIRECTORY_FILE))
    set_acl(alice, "d", allow(ALICE, ALL), allow(OTHER, READ))
    for name in ("d\\f", "d\\g"):
        alice.close(alice.make(name))
        set_acl(alice, name, allow(ALICE, ALL), allow(OTHER, READ))
    assert other.create_status("d\\f", Access.DELETE) == "ACCESS_DENIED"
    set_acl(alice, "d\\f", allow(OTHER, Access.DELETE))
    assert other.create_status("d\\f", Access.DELETE, options=DELETE_ON_CLOSE) == "SUCCESS"
    set_acl(alice, "d", allow(ALICE, ALL), allow(OTHER, Access.DELETE_CHILD))
    assert other.create_status("d\\g", Access.DELETE, options=DELETE_ON_CLOSE) == "SUCCESS"
    assert world.names("d") == []


def test_plain_files_in_a_governed_directory(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("d", options=CreateOption.DIRECTORY_FILE))
    world.make("d/f", mode=0o666)
    assert other.create_status("d\\f", Access.DELETE) == "ACCESS_DENIED"
    set_acl(alice, "d", allow(ALICE, ALL), allow(OTHER, Access.DELETE_CHILD), allow(EVERYONE, Access.TRAVERSE))
    assert other.create_status("d\\f", Access.DELETE, options=DELETE_ON_CLOSE) == "SUCCESS"
    assert world.names("d") == []


def rename(peer: Any, old: str, new: str, *, replace: bool = False) -> None:
    file = peer.open(old, Access.DELETE)
    try:
        wish = FileRenameInformation(replace_if_exists=replace, root_directory=0)
        peer.set_info(file, FileInfo.RENAME, pack_with_name(wish, new))
    finally:
        peer.close(file)


def test_a_directory_must_take_the_new_name(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    for name in ("d", "e"):
        alice.close(alice.make(name, options=CreateOption.DIRECTORY_FILE))
    other.close(other.make("f"))
    assert refusal(lambda: rename(other, "f", "e\\f")) == "ACCESS_DENIED"  # a plain one, in which he may not write
    set_acl(alice, "d", allow(ALICE, ALL), allow(OTHER, Access.TRAVERSE))
    assert refusal(lambda: rename(other, "f", "d\\f")) == "ACCESS_DENIED"
    set_acl(alice, "d", allow(ALICE, ALL), allow(OTHER, Access.ADD_FILE))
    rename(other, "f", "d\\f")
    assert world.names("d") == ["f"]


def test_what_is_replaced_must_let_itself_be_deleted(world):
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("d", options=CreateOption.DIRECTORY_FILE))
    set_acl(alice, "d", allow(ALICE, ALL), allow(OTHER, Access.ADD_FILE | Access.TRAVERSE))
    alice.close(alice.make("d\\a"))
    world.make("d/plain")
    for name in ("f", "g", "h"):
        other.close(other.make(name))
    assert refusal(lambda: rename(other, "f", "d\\a", replace=True)) == "ACCESS_DENIED"
    assert refusal(lambda: rename(other, "g", "d\\plain", replace=True)) == "ACCESS_DENIED"
    set_acl(alice, "d\\a", allow(OTHER, Access.DELETE))
    rename(other, "f", "d\\a", replace=True)
    set_acl(alice, "d", allow(OTHER, Access.ADD_FILE | Access.DELETE_CHILD))
    rename(other, "g", "d\\plain", replace=True)
    assert world.names("d") == ["a", "plain"]


def test_the_root_has_no_directory_above(world):
    alice = world.connect("u")
    store(world, "", SecurityDescriptor(owner=ALICE, dacl=Acl((allow(EVERYONE, ALL & ~Access.DELETE),))))
    assert alice.create_status("", Access.READ_DATA) == "SUCCESS"
    assert alice.create_status("", Access.DELETE) == "ACCESS_DENIED"


# Listings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("acl", ["nt", "posix"])
def test_listings_leave_out_what_may_not_be_read(new_world, acl):
    world = new_world(share={"acl": acl, "access_based_enumeration": True})
    world.make("open", mode=0o644)
    world.make("shut", mode=0o600)
    world.volume.plant_link("nowhere", "gone")
    peer = world.connect("u")
    assert listing(peer) >= {".", "..", "open"}
    assert "shut" not in listing(peer)


def test_listings_ask_the_descriptors(new_world):
    world = new_world(share={"access_based_enumeration": True})
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    alice.close(alice.make("b"))
    set_acl(alice, "a", allow(ALICE, ALL))
    set_acl(alice, "b", allow(ALICE, ALL), allow(OTHER, READ))
    assert listing(other) == {".", "..", "b"}
    assert listing(alice) == {".", "..", "a", "b"}


# Descriptors ----------------------------------------------------------------------------------------------------


def test_audit_lists_are_for_administrators(new_world):
    world = new_world(administrators=("u",))
    alice, other = world.connect("u"), world.connect("other", "q")
    alice.close(alice.make("a"))
    assert other.create_status("a", Access.ACCESS_SYSTEM_SECURITY) == "PRIVILEGE_NOT_HELD"
    audit = Acl((Ace(AceType.SYSTEM_AUDIT, AceFlag.FAILED_ACCESS, READ, EVERYONE),))
    file = alice.open("a", Access.ACCESS_SYSTEM_SECURITY)
    wanted = SecurityDescriptor(sacl=audit)
    alice.set_info(file, 0, wanted.pack(), info_type=InfoType.SECURITY, additional=SecurityInformation.SACL)
    alice.close(file)
    assert get_acl(alice, "a", SecurityInformation.SACL, Access.ACCESS_SYSTEM_SECURITY).sacl == audit


def test_a_group_that_is_not_ones_own_is_only_written_down(world):
    alice = world.connect("u")
    alice.close(alice.make("a"))
    file = alice.open("a", Access.WRITE_OWNER)
    for gid, real in ((100, 100), (101, 100)):
        wanted = SecurityDescriptor(group=unix_group_sid(gid))
        alice.set_info(file, 0, wanted.pack(), info_type=InfoType.SECURITY, additional=SecurityInformation.GROUP)
        assert world.stat("a").gid == real
        assert get_acl(alice, "a").group == unix_group_sid(gid)


def test_a_list_that_grew_too_long(world):
    alice = world.connect("u")
    alice.close(alice.make("a"))
    file = alice.open("a", Access.WRITE_DAC)
    aces = tuple(allow(EVERYONE, Access.GENERIC_READ, OI | CI) for _ in range(1000))  # each becomes two
    wanted = SecurityDescriptor(dacl=Acl(aces)).pack()
    put = {"info_type": InfoType.SECURITY, "additional": SecurityInformation.DACL}
    assert refusal(lambda: alice.set_info(file, 0, wanted, **put)) == "INVALID_ACL"


def test_a_name_that_stands_for_another_file(world):
    alice = world.connect("u")
    alice.close(alice.make("a"))
    file = alice.open("a", Access.WRITE_DAC)
    world.make("b")
    world.volume.rename("b", "a", replace=True)
    wanted = SecurityDescriptor(dacl=Acl()).pack()
    put = {"info_type": InfoType.SECURITY, "additional": SecurityInformation.DACL}
    assert refusal(lambda: alice.set_info(file, 0, wanted, **put)) == "FILE_CLOSED"
    assert not is_governed(world, "a")


# One account for all --------------------------------------------------------------------------------------------


def test_users_are_told_apart_where_all_files_belong_to_one_account(new_wire):
    wire = new_wire(share={"acl": "nt"})
    alice, other = wire.connect("u"), wire.connect("other", "q")
    alice.close(alice.make("a"))
    machine = MemoryUsers({}).machine_id
    owner = Sid(5, (21, *machine, 1000))
    assert get_acl(alice, "a").owner == owner
    assert wire.stat("a").mode == 0o644
    assert other.create_status("a", READ) == "SUCCESS"
    assert other.create_status("a", WRITE) == "ACCESS_DENIED"
    set_acl(alice, "a", allow(owner, ALL))
    assert other.create_status("a", READ) == "ACCESS_DENIED"
    assert wire.stat("a").mode == 0o644  # local programs are none of their business
    node = wire.volume.open("a", ACCESS_NONE)
    value = wire.memory.acl.descriptor(node, NAME)
    node.close()
    assert value is not None
    assert parse_stored(value).descriptor.owner == owner


def test_guests_are_not_the_account_that_they_act_as(new_wire):
    accounts = (Account("u", 1000, 100, (100,)), Account("visitor", 1002, 102, ()))
    wire = new_wire(
        share={"acl": "nt", "run_as": "client", "guest": True}, accounts=accounts, guest_account="visitor",
        signing="offered",
    )  # fmt: skip
    root = wire.volume.open("", ACCESS_NONE)
    root.set_mode(0o777)
    root.close()
    guest = wire.client()
    guest._is_authentic = lambda frame: True  # a guest has no key
    guest.negotiate([Dialect.SMB_2_1])
    guest.log_on("guest", "whatever")
    guest.signer = None
    guest.tree = guest.tree_connect("s")
    guest.close(guest.make("a"))
    machine = MemoryUsers({}).machine_id
    assert get_acl(guest, "a").owner == Sid(5, (21, *machine, 501))
    assert wire.stat("a").uid == 1002


# At start -------------------------------------------------------------------------------------------------------


def test_a_platform_must_be_able_to_keep_them(new_wire, monkeypatch):
    with pytest.raises(OSError, match=r"cannot be stored as 'user\.other' here, but as security\.NTACL, user\.NTACL"):
        new_wire(share={"acl": "nt", "acl_attribute": "user.other"})
    assert (
        new_wire(share={"acl": "nt", "acl_attribute": "user.NTACL"}).server.shares["S"].descriptor_name == "user.NTACL"
    )


def test_clients_are_told_that_descriptors_are_kept(world, new_wire):
    for wire, told in ((world, True), (new_wire(), False)):
        peer = wire.connect("u")
        root = peer.open("", Access.READ_ATTRIBUTES)
        data = peer.query_info(root, FsInfo.ATTRIBUTE, info_type=InfoType.FILESYSTEM)
        assert bool(int.from_bytes(data[:4], "little") & FileSystemAttribute.PERSISTENT_ACLS) == told
