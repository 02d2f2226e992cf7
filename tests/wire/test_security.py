import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smbport.wire.constants import Access, AceFlag, AceType, SecurityInformation
from smbport.wire.record import BadStructure
from smbport.wire.security import (
    MAX_ACES,
    MAX_DESCRIPTOR_SIZE,
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

DOMAIN_USER = Sid(5, (21, 397955417, 626881126, 188441444, 3602))

# What Windows makes of the example in [MS-DTYP] 2.5.1.4
WINDOWS = bytes.fromhex(
    "01 00 14b0 90000000 a0000000 14000000 30000000"
    "02 00 1c00 0100 0000"
    "02 80 1400 00000080 0101000000000001 00000000"
    "02 00 6000 0400 0000"
    "00 03 1800 000000a0 0102000000000005 20000000 21020000"
    "00 03 1800 00000010 0102000000000005 20000000 20020000"
    "00 03 1400 00000010 0101000000000005 12000000"
    "00 03 1400 00000010 0101000000000003 00000000"
    "0102000000000005 20000000 20020000"
    "0102000000000005 20000000 20020000"
)
CIOI = AceFlag.CONTAINER_INHERIT | AceFlag.OBJECT_INHERIT
WINDOWS_VALUE = SecurityDescriptor(
    owner=WellKnownSid.BUILTIN_ADMINISTRATORS,
    group=WellKnownSid.BUILTIN_ADMINISTRATORS,
    sacl=Acl((Ace(AceType.SYSTEM_AUDIT, AceFlag.FAILED_ACCESS, Access.GENERIC_READ, WellKnownSid.EVERYONE),)),
    dacl=Acl(
        (
            Ace(0, CIOI, Access.GENERIC_READ | Access.GENERIC_EXECUTE, WellKnownSid.BUILTIN_USERS),
            Ace(0, CIOI, Access.GENERIC_ALL, WellKnownSid.BUILTIN_ADMINISTRATORS),
            Ace(0, CIOI, Access.GENERIC_ALL, WellKnownSid.SYSTEM),
            Ace(0, CIOI, Access.GENERIC_ALL, WellKnownSid.CREATOR_OWNER),
        )
    ),
    control=SecurityControl.DACL_PROTECTED | SecurityControl.SACL_PROTECTED,
)

U32 = st.integers(0, 0xFFFFFFFF)
U8 = st.integers(0, 0xFF)
SIDS = st.builds(Sid, st.integers(0, (1 << 48) - 1), st.lists(U32, max_size=15).map(tuple))
DATA = st.binary(max_size=10).map(lambda data: data * 4)  # in a descriptor, an ACE is a multiple of 4
ACES = st.one_of(
    st.builds(Ace, st.sampled_from([0, 1, 2, 3, 9, 10, 13, 17, 18, 19]), U8, U32, SIDS, DATA),
    st.builds(
        Ace, st.sampled_from([5, 6, 7, 8, 11, 12, 15, 16]), U8, U32, st.none(), DATA.map(lambda d: d + bytes(12))
    ),
    st.builds(Ace, st.sampled_from([4, 14, 20, 255]), U8, U32, st.none(), DATA),
)
ACLS = st.builds(Acl, st.lists(ACES, max_size=5).map(tuple), st.sampled_from([2, 4]))
DESCRIPTORS = st.builds(
    SecurityDescriptor,
    owner=st.none() | SIDS,
    group=st.none() | SIDS,
    sacl=st.none() | ACLS,
    dacl=st.none() | ACLS,
    control=st.integers(0, 0xFFFF).map(lambda control: control & ~SecurityControl.RM_CONTROL_VALID),
)


# SID


@pytest.mark.parametrize(
    ("sid", "text", "hexadecimal"),
    [
        (WellKnownSid.EVERYONE, "S-1-1-0", "01 01 000000000001 00000000"),
        (WellKnownSid.SYSTEM, "S-1-5-18", "01 01 000000000005 12000000"),
        (WellKnownSid.OWNER_RIGHTS, "S-1-3-4", "01 01 000000000003 04000000"),
        (WellKnownSid.BUILTIN_USERS, "S-1-5-32-545", "01 02 000000000005 20000000 21020000"),
        (
            DOMAIN_USER,
            "S-1-5-21-397955417-626881126-188441444-3602",
            "01 05 000000000005 15000000 5951b817 66725d25 64633b0b 120e0000",
        ),
        (unix_user_sid(1000), "S-1-22-1-1000", "01 02 000000000016 01000000 e8030000"),
        (unix_group_sid(0xFFFFFFFE), "S-1-22-2-4294967294", "01 02 000000000016 02000000 feffffff"),
        (Sid(5, ()), "S-1-5", "01 00 000000000005"),
        (Sid(0x123456789ABC, (1,)), "S-1-0x123456789ABC-1", "01 01 123456789abc 01000000"),
    ],
)
def test_sid_example(sid, text, hexadecimal):
    packed = bytes.fromhex(hexadecimal)
    assert str(sid) == text
    assert Sid.from_string(text) == sid
    assert sid.pack() == packed
    assert sid.size == len(packed)
    assert Sid.parse(packed) == sid


@given(SIDS, st.binary(max_size=5))
def test_sid_round_trip(sid, around):
    assert Sid.parse(memoryview(around + sid.pack() + around), len(around)) == sid
    assert Sid.from_string(str(sid)) == sid
    for length in range(sid.size):
        with pytest.raises(BadStructure):
            Sid.parse(sid.pack()[:length])


@pytest.mark.parametrize(
    "hexadecimal",
    [
        pytest.param("00 01 000000000005 12000000", id="revision 0"),
        pytest.param("02 01 000000000005 12000000", id="revision 2"),
        pytest.param("01 02 000000000005 12000000", id="more sub-authorities than bytes"),
        pytest.param("01 10 000000000005" + "00" * 64, id="16 sub-authorities"),
        pytest.param("01 ff 000000000005" + "00" * 1020, id="255 sub-authorities"),
    ],
)
def test_lying_sid(hexadecimal):
    with pytest.raises(BadStructure):
        Sid.parse(bytes.fromhex(hexadecimal))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S-1",
        "S-2-5-18",
        "S-1-5-",
        "S-1-5-18 ",
        "S-1-5--18",
        "S-1-5-4294967296",
        "S-1-0x5-18",
        "s-1-5-x",
        "S-1-5" + "-1" * 16,
        "S-1-5-\u0661",
        "S-1-0x1234567890123-1",
    ],
)
def test_text_that_is_no_sid(text):
    with pytest.raises(ValueError, match="SID"):
        Sid.from_string(text)


@pytest.mark.parametrize(
    ("authority", "values"), [(-1, ()), (1 << 48, ()), (5, (-1,)), (5, (1 << 32,)), (5, (1,) * 16)]
)
def test_impossible_sid(authority, values):
    with pytest.raises(ValueError, match="no such SID"):
        Sid(authority, values)


# ACE and ACL

EVERYONE_FULL = "00 03 1400 ff011f00 0101000000000001 00000000"
OBJECT_ACE = "05 00 2800 00010000 01000000 b7894deb24c62e43b1d06f5c9a45b4be 0101000000000001 00000000"


def test_object_ace_is_opaque():
    packed = bytes.fromhex(OBJECT_ACE)
    ace = Ace.parse(packed)
    assert (ace.type, ace.mask, ace.sid, len(ace.data)) == (AceType.ACCESS_ALLOWED_OBJECT, 0x100, None, 32)
    assert ace.pack() == packed


def test_condition_behind_the_sid_is_kept():
    packed = bytes.fromhex("09 00 2000 ff011f00 0101000000000001 00000000 61727478 f8000000 00000000")
    ace = Ace.parse(packed)
    assert (ace.sid, ace.data[:4]) == (WellKnownSid.EVERYONE, b"artx")
    assert ace.pack() == packed


def test_data_is_padded_to_4():
    ace = Ace(AceType.ACCESS_ALLOWED_CALLBACK, 0, 1, WellKnownSid.EVERYONE, b"artx1")
    assert Ace.parse(ace.pack()).data == b"artx1\0\0\0"


@pytest.mark.parametrize(
    "hexadecimal",
    [
        pytest.param("00 00 0000 ff011f00 0101000000000001 00000000", id="size 0"),
        pytest.param("00 00 0400 ff011f00 0101000000000001 00000000", id="size 4"),
        pytest.param("00 00 1000 ff011f00 0101000000000001", id="size 16 cuts the SID"),
        pytest.param("00 00 1600 ff011f00 0101000000000001 00000000 0000", id="not a multiple of 4"),
        pytest.param("00 00 1800 ff011f00 0101000000000001 00000000", id="larger than the buffer"),
        pytest.param("00 00 1400 ff011f00 0102000000000001 00000000", id="one sub-authority too many"),
        pytest.param("00 00 1400 ff011f00 01ff000000000001 00000000", id="255 sub-authorities"),
        pytest.param("05 00 1000 ff011f00 00000000 00000000", id="object ACE without room for a SID"),
        pytest.param("ff 00 0400", id="unknown type without a mask"),
    ],
)
def test_lying_ace(hexadecimal):
    with pytest.raises(BadStructure):
        Ace.parse(bytes.fromhex(hexadecimal))


def test_acl_example():
    packed = bytes.fromhex("02 00 1c00 0100 0000" + EVERYONE_FULL)
    acl = Acl((Ace(AceType.ACCESS_ALLOWED, CIOI, Access.FILE_ALL_ACCESS, WellKnownSid.EVERYONE),))
    assert acl.pack() == packed
    assert Acl.parse(packed) == acl


def test_room_behind_the_last_ace_is_dropped():
    packed = bytes.fromhex("02 00 2400 0100 0000" + EVERYONE_FULL + "dededededededede")
    assert len(Acl.parse(packed).pack()) == 0x1C


@pytest.mark.parametrize(
    "hexadecimal",
    [
        pytest.param("02 00 1c00 0200 0000" + EVERYONE_FULL, id="more ACEs than fit"),
        pytest.param("02 00 1c00 ffff 0000" + EVERYONE_FULL, id="65535 ACEs"),
        pytest.param("02 00 2000 0100 0000" + EVERYONE_FULL, id="larger than the buffer"),
        pytest.param("02 00 ffff 0100 0000" + EVERYONE_FULL, id="64 KiB"),
        pytest.param("02 00 0000 0000 0000" + EVERYONE_FULL, id="size 0"),
        pytest.param("02 00 0400 0000 0000" + EVERYONE_FULL, id="size inside its own header"),
        pytest.param("02 00 1800 0100 0000" + EVERYONE_FULL, id="ACE larger than the ACL"),
        pytest.param("00 00 1c00 0100 0000" + EVERYONE_FULL, id="revision 0"),
        pytest.param("05 00 1c00 0100 0000" + EVERYONE_FULL, id="revision 5"),
    ],
)
def test_lying_acl(hexadecimal):
    with pytest.raises(BadStructure):
        Acl.parse(bytes.fromhex(hexadecimal))


def test_as_many_aces_as_fit():
    ace = Ace(AceType.ACCESS_ALLOWED, 0, 1, DOMAIN_USER)
    acl = Acl((ace,) * MAX_ACES)
    assert Acl.parse(acl.pack()) == acl
    with pytest.raises(ValueError, match="1821 ACEs"):
        Acl((ace,) * (MAX_ACES + 1)).pack()


def test_too_many_tiny_aces():
    """8191 ACEs of 8 bytes would fit the size, but not the count."""
    body = bytes.fromhex("ff 00 0800 00000000") * (MAX_ACES + 1)
    with pytest.raises(BadStructure, match="1821 ACEs"):
        Acl.parse(struct.pack("<BxHHxx", 2, 8 + len(body), MAX_ACES + 1) + body)


def test_acl_larger_than_its_size_field():
    with pytest.raises(ValueError, match="bytes"):
        Acl((Ace(AceType.ACCESS_ALLOWED_CALLBACK, 0, 1, WellKnownSid.EVERYONE, bytes(0x8000)),) * 2).pack()


# Security descriptor


def test_windows_example():
    assert SecurityDescriptor.parse(memoryview(WINDOWS)) == WINDOWS_VALUE
    assert WINDOWS_VALUE.pack() == WINDOWS


def test_parts_in_the_order_of_samba():
    """Owner, group, DACL; and owner and group may share their bytes."""
    packed = bytes.fromhex(
        "01 00 0480 14000000 14000000 00000000 200000000101000000000005 1200000002 00 0800 0000 0000"
    )
    expected = SecurityDescriptor(owner=WellKnownSid.SYSTEM, group=WellKnownSid.SYSTEM, dacl=Acl())
    assert SecurityDescriptor.parse(packed) == expected


@settings(max_examples=50)
@given(DESCRIPTORS)
def test_descriptor_round_trip(descriptor):
    assert SecurityDescriptor.parse(descriptor.pack()) == descriptor


def test_every_prefix():
    for length in range(len(WINDOWS)):
        with pytest.raises(BadStructure):
            SecurityDescriptor.parse(WINDOWS[:length])


@given(st.data())
def test_any_damage(data):
    damaged = bytearray(WINDOWS)
    for position in data.draw(st.lists(st.integers(0, len(WINDOWS) - 1), min_size=1, max_size=4)):
        damaged[position] = data.draw(U8)
    try:
        descriptor = SecurityDescriptor.parse(damaged)
    except BadStructure:
        return
    assert SecurityDescriptor.parse(descriptor.pack()) == descriptor


@given(st.binary(max_size=120))
def test_any_bytes(data):
    for parse in (SecurityDescriptor.parse, Acl.parse, Ace.parse, Sid.parse):
        try:
            assert parse(data) is not None
        except BadStructure:
            continue


OWNER, GROUP, SACL, DACL = 4, 8, 12, 16  # where the offsets are


@pytest.mark.parametrize("where", [OWNER, GROUP, SACL, DACL])
@pytest.mark.parametrize("offset", [1, 4, 19, len(WINDOWS) - 4, len(WINDOWS), 0x7FFFFFFF, 0xFFFFFFF8, 0xFFFFFFFF])
def test_lying_offset(where, offset):
    packed = bytearray(WINDOWS)
    packed[where : where + 4] = offset.to_bytes(4, "little")
    with pytest.raises(BadStructure):
        SecurityDescriptor.parse(packed)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        pytest.param(0, 2, id="revision 2"),
        pytest.param(3, 0x30, id="not self-relative"),
    ],
)
def test_lying_header(position, value):
    packed = bytearray(WINDOWS)
    packed[position] = value
    with pytest.raises(BadStructure):
        SecurityDescriptor.parse(packed)


def test_descriptor_larger_than_any_file_system_stores():
    with pytest.raises(BadStructure):
        SecurityDescriptor.parse(WINDOWS + bytes(MAX_DESCRIPTOR_SIZE))


def test_null_dacl_is_not_an_empty_one():
    null = SecurityDescriptor(control=SecurityControl.DACL_PRESENT)
    empty = SecurityDescriptor(dacl=Acl())
    absent = SecurityDescriptor()
    assert null.pack() == bytes.fromhex("01 00 0480") + bytes(16)
    assert empty.pack() == bytes.fromhex("01 00 0480 00000000 00000000 00000000 14000000 02 00 0800 0000 0000")
    assert absent.pack() == bytes.fromhex("01 00 0080") + bytes(16)
    for descriptor in (null, empty, absent):
        assert SecurityDescriptor.parse(descriptor.pack()) == descriptor


def test_acl_whose_flag_is_off_is_not_looked_at():
    packed = bytes.fromhex("01 00 0080 00000000 00000000 ffffffff ffffffff")
    assert SecurityDescriptor.parse(packed) == SecurityDescriptor()


def test_resource_manager_control_is_dropped():
    packed = bytes.fromhex("01 55 00c0") + bytes(16)
    assert SecurityDescriptor.parse(packed).pack() == bytes.fromhex("01 00 0080") + bytes(16)


def test_select():
    information = SecurityInformation
    assert WINDOWS_VALUE.select(information.OWNER) == SecurityDescriptor(owner=WINDOWS_VALUE.owner)
    assert WINDOWS_VALUE.select(information.GROUP) == SecurityDescriptor(group=WINDOWS_VALUE.group)
    assert WINDOWS_VALUE.select(information.LABEL) == SecurityDescriptor()
    assert WINDOWS_VALUE.select(information.DACL) == SecurityDescriptor(
        dacl=WINDOWS_VALUE.dacl, control=SecurityControl.DACL_PROTECTED
    )
    assert WINDOWS_VALUE.select(information.SACL) == SecurityDescriptor(
        sacl=WINDOWS_VALUE.sacl, control=SecurityControl.SACL_PROTECTED
    )
    assert WINDOWS_VALUE.select(0xF) == WINDOWS_VALUE
    null = SecurityDescriptor(control=SecurityControl.DACL_PRESENT)
    assert null.select(information.DACL) == null
    assert null.select(information.OWNER) == SecurityDescriptor()


# The meaning of a POSIX mode

UID, GID = unix_user_sid(1000), unix_group_sid(100)
STAT = Access.READ_ATTRIBUTES | Access.READ_CONTROL | Access.SYNCHRONIZE


def granted(descriptor, sids):
    """The rights of a token: per bit, the first ACE that says something decides.  [MS-DTYP] 2.5.3.2"""
    allowed = denied = 0
    for ace in descriptor.dacl.aces:
        if ace.sid in sids and ace.type == AceType.ACCESS_ALLOWED:
            allowed |= ace.mask & ~denied
        elif ace.sid in sids:
            denied |= ace.mask & ~allowed
    return allowed


def test_mode_of_a_file():
    descriptor = descriptor_of_mode(0o100640, UID, GID, False)
    assert (descriptor.owner, descriptor.group) == (UID, GID)
    assert descriptor.control == (
        SecurityControl.SELF_RELATIVE | SecurityControl.DACL_PRESENT | SecurityControl.DACL_PROTECTED
    )
    assert descriptor.dacl == Acl(
        (
            Ace(AceType.ACCESS_ALLOWED, 0, 0x001E019F, UID),
            Ace(AceType.ACCESS_ALLOWED, 0, Access.FILE_GENERIC_READ, GID),
            Ace(AceType.ACCESS_ALLOWED, 0, STAT, WellKnownSid.EVERYONE),
        )
    )


def test_mode_of_a_directory():
    aces = descriptor_of_mode(0o40755, UID, GID, True).dacl.aces
    assert [ace.mask for ace in aces] == [Access.FILE_ALL_ACCESS & ~Access.DELETE, 0x001200A9, 0x001200A9]


def test_mode_that_gives_later_classes_more():
    aces = descriptor_of_mode(0o604, UID, GID, False).dacl.aces
    difference = Access.FILE_GENERIC_READ & ~STAT
    assert [(ace.type, ace.mask, ace.sid) for ace in aces[1:3]] == [
        (AceType.ACCESS_DENIED, difference, GID),
        (AceType.ACCESS_ALLOWED, STAT, GID),
    ]


@pytest.mark.parametrize("is_directory", [False, True])
def test_every_mode_grants_what_posix_grants(is_directory):
    everyone = WellKnownSid.EVERYONE
    tokens = [
        ({UID, everyone}, 6),
        ({UID, GID, everyone}, 6),
        ({unix_user_sid(7), GID, everyone}, 3),
        ({unix_user_sid(7), everyone}, 0),
    ]
    for mode in range(0o1000):
        descriptor = descriptor_of_mode(mode, UID, GID, is_directory)
        for sids, shift in tokens:
            rights = granted(descriptor, sids)
            bits = mode >> shift
            assert bool(rights & Access.READ_DATA) == bool(bits & 4)
            assert bool(rights & Access.WRITE_DATA) == bool(rights & Access.APPEND_DATA) == bool(bits & 2)
            assert bool(rights & Access.DELETE_CHILD) == (is_directory and bool(bits & 2))
            assert bool(rights & Access.EXECUTE) == bool(bits & 1)
            assert bool(rights & Access.WRITE_DAC) == bool(rights & Access.WRITE_OWNER) == (shift == 6)
            assert bool(rights & Access.WRITE_ATTRIBUTES) == (shift == 6 or bool(bits & 2))
            assert rights & STAT == STAT
            assert not rights & Access.DELETE
