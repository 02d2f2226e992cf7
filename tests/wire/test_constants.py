import inspect

import pytest

from smbport.wire import constants
from smbport.wire.constants import (
    Access,
    Command,
    ContextTag,
    CreateOption,
    Dialect,
    FsControl,
    OplockLevel,
    name,
    names,
)

NAMESPACES = [cls for _, cls in inspect.getmembers(constants, inspect.isclass)]
MASKS = [
    "AceFlag", "Capability", "CloseFlag", "CreateOption", "FileAttribute", "IoctlFlag", "LockFlag", "CompletionFilter",
    "QueryDirectoryFlag", "SecurityInformation", "SecurityMode", "SessionFlag", "SessionSetupFlag", "ShareAccess",
    "ShareCapability", "TransformFlag", "WriteFlag",
]  # fmt: skip


def values(namespace):
    return {key: value for key, value in vars(namespace).items() if key.isupper()}


def test_all_are_exported():
    assert {cls.__name__ for cls in NAMESPACES} | {"name", "names"} == set(constants.__all__)


@pytest.mark.parametrize("namespace", NAMESPACES, ids=lambda cls: cls.__name__)
def test_plain_ints_each_with_one_name(namespace):
    found = values(namespace)
    kind = bytes if namespace is ContextTag else int
    assert {type(value) for value in found.values()} == {kind}
    aliases = {"LIST_DIRECTORY", "ADD_FILE", "ADD_SUBDIRECTORY", "TRAVERSE"} if namespace is Access else set()
    distinct = [value for key, value in found.items() if key not in aliases]
    assert len(set(distinct)) == len(distinct)


@pytest.mark.parametrize("mask", MASKS)
def test_flags_are_single_bits(mask):
    assert all(value.bit_count() == 1 for value in values(getattr(constants, mask)).values())


def test_context_tags_have_4_or_16_bytes():
    assert {len(tag) for tag in values(ContextTag).values()} == {4, 16}


def test_fsctl_codes_are_built_right():
    """DeviceType is DFS, FILE_SYSTEM, NAMED_PIPE or NETWORK_FILE_SYSTEM; no function is a vendor's.  [MS-FSCC] 2.3"""
    for code in values(FsControl).values():
        assert code >> 16 in (0x0006, 0x0009, 0x0011, 0x0014)
        assert not code & 0x2000


def test_generic_rights_are_made_of_specific_ones():
    bits = 0
    for value in values(Access).values():
        if value.bit_count() == 1:
            bits |= value
    for value in (Access.FILE_GENERIC_READ, Access.FILE_GENERIC_WRITE, Access.FILE_GENERIC_EXECUTE):
        assert value & ~Access.FILE_ALL_ACCESS == 0
        assert value & Access.SYNCHRONIZE
        assert value & Access.READ_CONTROL
    assert Access.FILE_ALL_ACCESS & ~bits == 0


def test_name():
    assert name(Command, 5) == "CREATE"
    assert name(Command, 99) == "0x63"
    assert name(Dialect, 0x0311) == "SMB_3_1_1"
    assert name(OplockLevel, 0xFF) == "LEASE"


def test_names():
    assert names(CreateOption, 0x41) == "DIRECTORY_FILE|NON_DIRECTORY_FILE"
    assert names(CreateOption, 0x80000001) == "DIRECTORY_FILE|0x80000000"
    assert names(CreateOption, 0) == "0x0"
    assert names(Access, 0x1) == "READ_DATA"
    assert names(ContextTag, 1) == "0x1"
