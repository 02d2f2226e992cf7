import errno

import pytest

from smbport.platform import ACCESS_NONE, Account, AclEntry, AclTag
from smbport.security.ntacl import SystemState, pack_stored
from smbport.security.sids import Person, make_token
from smbport.state.descriptors import Descriptors
from smbport.testing.memory import MemoryPlatform
from smbport.wire.constants import Access, AceFlag, AceType
from smbport.wire.security import (
    Ace,
    Acl,
    SecurityControl,
    SecurityDescriptor,
    Sid,
    WellKnownSid,
    descriptor_of_mode,
    unix_group_sid,
    unix_user_sid,
)

NAME = "security.NTACL"
ALICE = Account("alice", 1000, 100, (100,))
EVERYONE = WellKnownSid.EVERYONE
CAROL = Sid(5, (21, 1, 2, 3, 1002))
USERS = {CAROL: 1003}


def allow(sid, mask=Access.FILE_GENERIC_READ, flags=0):
    return Ace(AceType.ACCESS_ALLOWED, flags, mask, sid)


class Lists:
    """The power `acl` of a system that has lists, or fails to."""

    names = (NAME,)

    def __init__(self, inner, failure=0):
        self.inner = inner
        self.failure = failure
        self.access = ()

    def lists(self, node, *, wait=False):
        return self.access, ()

    def set_list(self, node, acl, *, wait=False):
        if self.failure:
            raise OSError(self.failure, "no")
        self.access = tuple(acl)

    def descriptor(self, node, name, *, wait=False):
        return self.inner.descriptor(node, name)

    def set_descriptor(self, node, name, value, *, wait=False):
        self.inner.set_descriptor(node, name, value)


class World:
    """A volume with a file `f` of alice's and a directory `d` of the server's."""

    def __init__(self, *, own=True, failure=0):
        platform = MemoryPlatform()
        self.volume = platform.open_volume("v")
        self.file = self.volume.create("f", ACCESS_NONE, 0o640)
        self.file.set_owner(1000, 100)
        self.directory = self.volume.make_directory("d", 0o755)
        self.acl = Lists(platform.acl, failure)
        token = make_token((1, 2, 3), Person("user", 1000), ALICE if own else None)
        self.descriptors = Descriptors(self.acl, NAME, self.volume, token, ALICE, USERS, own, [])

    def find(self):
        return self.descriptors.find(self.file, self.file.stat())


def test_a_plain_file_is_described_by_its_mode():
    world = World()
    assert world.find() is None
    expected = descriptor_of_mode(0o640, unix_user_sid(1000), unix_group_sid(100), False)
    shown = world.descriptors.describe(world.file)
    assert (shown.owner, shown.group, shown.dacl) == (expected.owner, expected.group, expected.dacl)
    assert not shown.control & SecurityControl.DACL_PROTECTED


def test_what_is_stored_governs_until_the_system_says_otherwise():
    world = World()
    descriptor = SecurityDescriptor(owner=unix_user_sid(1000), dacl=Acl((allow(EVERYONE),)))
    world.descriptors.store(world.file, descriptor)
    assert world.find() == world.descriptors.describe(world.file) == descriptor
    assert world.file.stat().mode == 0o444
    world.file.set_mode(0o600)
    assert world.find() is None


def test_without_a_hash_it_always_governs():
    world = World()
    packed = SecurityDescriptor(dacl=Acl()).pack()
    moved = packed[:16] + (20 + 8).to_bytes(4, "little") + packed[20:]
    world.acl.set_descriptor(world.file, NAME, b"\1\0\1\0\0\0\2\0" + moved)
    assert world.find() == SecurityDescriptor(dacl=Acl())


def test_what_is_damaged_grants_nothing():
    world = World()
    world.acl.set_descriptor(world.file, NAME, b"?")
    found = world.find()
    assert found == SecurityDescriptor(owner=unix_user_sid(1000), group=unix_group_sid(100), dacl=Acl())


def test_owner_group_and_list_follow():
    world = World()
    bob = unix_user_sid(1001)
    world.descriptors.store(world.directory, SecurityDescriptor(owner=unix_user_sid(1000), dacl=Acl((allow(bob),))))
    assert world.directory.stat().uid == 1000
    assert AclEntry(AclTag.USER, 4, 1001) in world.acl.access
    world.descriptors.store(
        world.directory, SecurityDescriptor(group=unix_group_sid(100), dacl=Acl((allow(EVERYONE),)))
    )
    assert world.directory.stat().gid == 100
    assert world.acl.access == ()
    assert world.directory.stat().mode == 0o444


def test_users_are_known_to_the_system_by_other_names():
    world = World()
    descriptor = SecurityDescriptor(owner=CAROL, dacl=Acl((allow(CAROL), Ace(5, 0, 1, None, bytes(16)))))
    world.descriptors.store(world.directory, descriptor)
    stat = world.directory.stat()
    assert (stat.uid, stat.mode) == (1003, 0o400)
    assert world.descriptors.describe(world.directory) == descriptor
    world.descriptors.store(world.directory, SecurityDescriptor(owner=unix_user_sid(1000), dacl=Acl((allow(CAROL),))))
    assert AclEntry(AclTag.USER, 4, 1003) in world.acl.access
    world.descriptors.store(world.directory, SecurityDescriptor())
    assert world.directory.stat().mode == 0o777


def test_a_group_of_others_does_not():
    world = World()
    world.descriptors.store(world.file, SecurityDescriptor(group=unix_group_sid(0), dacl=Acl()))
    assert world.file.stat().gid == 100


@pytest.mark.parametrize("failure", [errno.ENOTSUP, errno.EOPNOTSUPP])
def test_where_the_system_has_no_lists_the_mode_must_do(failure):
    world = World(failure=failure)
    dacl = Acl((allow(unix_user_sid(1001)), allow(unix_user_sid(1000))))
    world.descriptors.store(world.file, SecurityDescriptor(dacl=dacl))
    assert world.file.stat().mode == 0o400
    assert world.find() is not None


def test_a_list_that_fails_to_be_stored():
    world = World(failure=errno.EIO)
    with pytest.raises(OSError, match="no"):
        world.descriptors.store(world.file, SecurityDescriptor(dacl=Acl((allow(unix_user_sid(1001)),))))


def test_new_files_of_ones_own_stay_plain():
    world = World()
    assert world.descriptors.store_new(world.file, None, None) is None
    assert world.find() is None


def test_new_files_inherit_and_belong_to_their_maker():
    world = World()
    parent = SecurityDescriptor(dacl=Acl((allow(EVERYONE, flags=AceFlag.CONTAINER_INHERIT),)))
    made = world.descriptors.store_new(world.directory, parent, None)
    assert made is not None
    assert made.dacl == Acl((allow(EVERYONE, flags=AceFlag.CONTAINER_INHERIT),))
    assert made.owner == unix_user_sid(1000)
    stat = world.directory.stat()
    assert (stat.uid, stat.gid, stat.mode) == (1000, 100, 0o444)


def test_new_files_of_ones_own_in_ones_own_directory():
    world = World()
    assert world.descriptors.store_new(world.file, SecurityDescriptor(), None) is not None
    assert world.file.stat().uid == 1000


def test_where_all_belongs_to_one_account_owners_are_written_down():
    world = World(own=False)
    made = world.descriptors.store_new(world.file, None, None)
    assert made is not None
    assert made.owner == world.descriptors.token.user
    assert world.file.stat().mode == 0o640
    assert world.find() == made


def test_what_the_system_grants_an_account():
    world = World()
    assert world.descriptors.plain_access(world.file) & Access.FILE_GENERIC_WRITE == Access.FILE_GENERIC_WRITE
    assert not world.descriptors.plain_access(world.directory) & Access.ADD_FILE
    root = Descriptors(world.acl, NAME, world.volume, world.descriptors.token, Account("root", 0, 0), {}, False, [])
    assert root.plain_access(world.directory) == Access.FILE_ALL_ACCESS


def test_lists_count_in_the_hash():
    world = World()
    descriptor = SecurityDescriptor(dacl=Acl())
    world.acl.set_descriptor(world.file, NAME, pack_stored(descriptor, SystemState.of(world.file.stat())))
    assert world.find() == descriptor
    world.acl.access = (
        AclEntry(AclTag.USER_OBJ, 6), AclEntry(AclTag.GROUP_OBJ, 4), AclEntry(AclTag.MASK, 4), AclEntry(AclTag.OTHER, 0)
    )  # fmt: skip
    assert world.find() is None
