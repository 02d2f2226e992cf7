import pytest

from smbport.platform import AclEntry, AclTag, FileKey, Kind, Stat
from smbport.security.ntacl import SystemState, pack_stored, parse_stored
from smbport.wire.constants import AceType
from smbport.wire.record import BadStructure
from smbport.wire.security import Ace, Acl, SecurityDescriptor, Sid, WellKnownSid

# As smbd 4.17 wrote it: a file of uid 1001, gid 1001, mode 0775 with a list, and a directory that has a default too.
SMBD_FILE = bytes.fromhex(
    "04000400000002000400020001007bbefcc0b273a2a680835f40349640619e62b6e27e6040fd2efdb8c028cbb3710000000000000000"
    "000000000000000000000000000000000000000000000000706f7369785f61636c00e47619bff97add01b97d1cf7c759bfea8efdca1f"
    "f760f411a2249f571fdc9509f23724b25a6313920000000000000000000000000000000000000000000000000000000000000000010004"
    "80b4000000d000000000000000ec00000001050000000000051500000036a53d1ad84d144aaaaffeeee803000001050000000000051500"
    "000036a53d1ad84d144aaaaffeee01020000020064000300000000002400ff011f0001050000000000051500000036a53d1ad84d144aaa"
    "affeeee803000000002400a900120001050000000000051500000036a53d1ad84d144aaaaffeee0102000000001400a900120001010000"
    "0000000100000000"
)
SMBD_DIRECTORY = bytes.fromhex(
    "0400040000000200040002000100ea94c1b023d851282ced47f0352c11b33f9be0c1f2a7d397c0d666f0fc181186000000000000000000"
    "0000000000000000000000000000000000000000000000706f7369785f61636c00b6d619bff97add01a0128344665c815f99d0e7ccae68"
    "b7d5ff6b4288a23c4bc8b18214cf7380d78d000000000000000000000000000000000000000000000000000000000000000001000480b4"
    "000000d000000000000000ec00000001050000000000051500000036a53d1ad84d144aaaaffeeee8030000010500000000000515000000"
    "36a53d1ad84d144aaaaffeee0102000002008c000500000000002400ff011f0001050000000000051500000036a53d1ad84d144aaaaffe"
    "eee8030000000b1400ff011f0001010000000000030000000000002400a900120001050000000000051500000036a53d1ad84d144aaaaf"
    "feee01020000000b1400a900120001010000000000030100000000031400a9001200010100000000000100000000"
)
LIST = (
    AclEntry(AclTag.USER_OBJ, 7),
    AclEntry(AclTag.USER, 7, 1001),
    AclEntry(AclTag.GROUP_OBJ, 5),
    AclEntry(AclTag.GROUP, 5, 1001),
    AclEntry(AclTag.MASK, 7),
    AclEntry(AclTag.OTHER, 5),
)
FILE = SystemState(1001, 1001, 0o100775, LIST)
DIRECTORY = SystemState(1001, 1001, 0o040775, LIST, LIST, True)
SMBD_USER = Sid(5, (21, 440247606, 1242844632, 4009668522, 1000))
PLAIN = SystemState(1000, 100, 0o100644)
DESCRIPTOR = SecurityDescriptor(
    owner=SMBD_USER,
    group=WellKnownSid.BUILTIN_USERS,
    dacl=Acl((Ace(AceType.ACCESS_ALLOWED, 0, 0x1F01FF, WellKnownSid.EVERYONE),)),
    sacl=Acl(),
)


@pytest.mark.parametrize(("value", "state", "aces"), [(SMBD_FILE, FILE, 3), (SMBD_DIRECTORY, DIRECTORY, 5)])
def test_what_smbd_stored_is_understood_and_holds(value, state, aces):
    stored = parse_stored(value)
    assert (stored.version, stored.descriptor.owner) == (4, SMBD_USER)
    assert stored.descriptor.dacl is not None
    assert len(stored.descriptor.dacl.aces) == aces
    assert stored.holds_for(state)


@pytest.mark.parametrize(
    "state",
    [
        SystemState(0, 1001, 0o100775, LIST),
        SystemState(1001, 0, 0o100775, LIST),
        SystemState(1001, 1001, 0o100774, LIST),
        SystemState(1001, 1001, 0o100775, LIST[:-1]),
        SystemState(1001, 1001, 0o100775),
    ],
)
def test_it_does_not_hold_after_a_local_change(state):
    assert not parse_stored(SMBD_FILE).holds_for(state)


@pytest.mark.parametrize("state", [PLAIN, FILE, DIRECTORY, SystemState(0, 0, 0o040755, (), LIST, True)])
@pytest.mark.parametrize("descriptor", [DESCRIPTOR, SecurityDescriptor(), SecurityDescriptor(owner=SMBD_USER)])
def test_what_is_packed_comes_back(state, descriptor):
    stored = parse_stored(pack_stored(descriptor, state))
    assert (stored.version, stored.descriptor) == (4, descriptor)
    assert stored.holds_for(state)


def test_the_layout_is_smbds():
    ours, theirs = pack_stored(parse_stored(SMBD_FILE).descriptor, FILE), SMBD_FILE
    assert ours[:14] == theirs[:14]
    assert ours[78:88] == theirs[78:88] == b"posix_acl\0"
    assert ours[96:160] == theirs[96:160]
    assert len(ours) == len(theirs)


def test_ksmbd_hashes_no_list_where_the_mode_says_it_all():
    smbd, ksmbd = PLAIN.digests()
    assert smbd != ksmbd
    value = bytearray(pack_stored(DESCRIPTOR, PLAIN))
    value[96:128] = ksmbd
    assert parse_stored(value).holds_for(PLAIN)
    assert FILE.digests()[0] == FILE.digests()[1]


def test_the_state_of_a_stat():
    def stat(kind, mode):
        return Stat(FileKey(1, 2), kind, 0, 0, 1, mode, 3, 4, 0, 0, 0, 0, None)

    assert SystemState.of(stat(Kind.FILE, 0o4755)) == SystemState(3, 4, 0o104755)
    assert SystemState.of(stat(Kind.DIRECTORY, 0o700), LIST, LIST) == SystemState(3, 4, 0o040700, LIST, LIST, True)


def old_version(version, filler):
    """A value of version 1 to 3: the descriptor lies behind `filler`."""
    head = version.to_bytes(2, "little") * 2 + b"\0\0\2\0" + filler
    start = len(head)
    packed = bytearray(SecurityDescriptor(owner=SMBD_USER, dacl=Acl()).pack())
    for at in (4, 16):
        packed[at : at + 4] = (int.from_bytes(packed[at : at + 4], "little") + start).to_bytes(4, "little")
    return head + packed


def test_old_versions_hold_without_a_hash():
    for version, filler in ((1, b""), (2, b"\4\0\2\0" + bytes(16)), (3, b"\4\0\2\0\1\0" + bytes(66))):
        stored = parse_stored(old_version(version, filler))
        assert (stored.version, stored.descriptor.owner, stored.system_digest) == (version, SMBD_USER, None)
        assert stored.holds_for(PLAIN)


def test_a_hash_that_only_samba_can_repeat_is_not_trusted():
    stored = parse_stored(old_version(3, b"\4\0\2\0\1\0" + b"x" * 64 + bytes(2)))
    assert not stored.holds_for(PLAIN)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        bytes(8),
        b"\5\0\5\0\0\0\2\0",
        b"\4\0\3\0\0\0\2\0",
        SMBD_FILE[:12],
        SMBD_FILE[:12] + b"\2" + SMBD_FILE[13:],  # another kind of hash
        SMBD_FILE[:78] + b"x" * 40,  # the description does not end
        SMBD_FILE[:120],
        SMBD_FILE[:170],
        SMBD_FILE[:164] + b"\x10\0\0\0" + SMBD_FILE[168:],  # the owner lies before the descriptor
        SMBD_FILE[:164] + b"\xff\xff\xff\xff" + SMBD_FILE[168:],
        old_version(1, b"")[:20],
    ],
)
def test_values_that_lie_are_refused(value):
    with pytest.raises(BadStructure):
        parse_stored(value)


@pytest.mark.parametrize("end", range(len(SMBD_FILE)))
def test_no_beginning_of_a_value_is_more_than_refused(end):
    try:
        parse_stored(SMBD_FILE[:end])
    except BadStructure:
        return
    pytest.fail("a part was taken for the whole")
