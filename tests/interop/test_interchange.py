"""A tree written through Samba's smbd reads back identically through this server, and the other way round."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from smbport.wire.constants import (
    Access,
    AceFlag,
    AceType,
    CreateDisposition,
    CreateOption,
    FileAttribute,
    FileInfo,
    InfoType,
    SecurityInformation,
)
from smbport.wire.fscc import FileBasicInformation
from smbport.wire.fscc_entries import FullEa, pack_ea_list, parse_ea_list
from smbport.wire.security import Ace, Acl, SecurityControl, SecurityDescriptor, Sid, WellKnownSid
from smbport.wire.status import Status, StatusError
from tests.interop.samba import Side, run_smbd

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbd") is None, reason="smbd is not installed (samba)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="smbd must run as root"),
]

NOBODYS = Sid(5, (21, 1111, 2222, 3333, 1001))  # of a domain that neither server knows
READ, CHANGE, ALL = 0x00120089, 0x001301BF, Access.FILE_ALL_ACCESS
DOWN = AceFlag.OBJECT_INHERIT | AceFlag.CONTAINER_INHERIT
PARTS = SecurityInformation.OWNER | SecurityInformation.GROUP | SecurityInformation.DACL
DACL = SecurityInformation.DACL
DAY = 864_000_000_000  # in units of 100 ns
BORN = 130_000_000_000_000_000  # 2012
EVERYONE = (AceType.ACCESS_ALLOWED, 0, ALL, WellKnownSid.EVERYONE)


@dataclass(frozen=True)
class Facts:
    """All that a file or directory carries."""

    attributes: int = FileAttribute.ARCHIVE
    creation_time: int = BORN
    last_write_time: int = BORN + DAY
    aces: Sequence[tuple[int, int, int, Sid]] = (EVERYONE,)
    control: int = 0
    streams: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    eas: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_directory(self) -> bool:
        return bool(self.attributes & FileAttribute.DIRECTORY)

    @property
    def descriptor(self) -> SecurityDescriptor:
        return SecurityDescriptor(dacl=Acl(tuple(Ace(*ace) for ace in self.aces)), control=self.control)


TREE = {
    "plain.txt": Facts(),
    "hidden and read-only": Facts(
        FileAttribute.HIDDEN | FileAttribute.READONLY | FileAttribute.SYSTEM, BORN + 7, BORN + 3 * DAY
    ),
    "system": Facts(FileAttribute.SYSTEM, BORN + 5 * DAY),  # Samba knows five attributes
    "denied": Facts(aces=((AceType.ACCESS_DENIED, 0, CHANGE & ~READ, NOBODYS), EVERYONE)),
    "many": Facts(aces=(EVERYONE, *((AceType.ACCESS_ALLOWED, 0, READ, Sid(5, (21, 1, 2, 3, n))) for n in range(40)))),
    "out of order": Facts(aces=(EVERYONE, (AceType.ACCESS_DENIED, 0, CHANGE, NOBODYS))),
    "protected": Facts(control=SecurityControl.DACL_PROTECTED),
    "owner rights": Facts(aces=((AceType.ACCESS_ALLOWED, 0, READ, WellKnownSid.OWNER_RIGHTS), EVERYONE)),
    "with streams": Facts(streams={"Zone.Identifier": b"[ZoneTransfer]\r\n", "empty": b"", "\u6f22": b"\0" * 9}),
    "with attributes": Facts(eas={"MOOD": b"good", "COLOUR": bytes(range(256))}),
    "\u00dcber \u6f22\u5b57": Facts(streams={"s": b"x"}, eas={"E": b"1"}),
    "folder": Facts(
        FileAttribute.DIRECTORY,
        aces=(
            EVERYONE,
            (AceType.ACCESS_ALLOWED, DOWN | AceFlag.INHERIT_ONLY, ALL, WellKnownSid.CREATOR_OWNER),
            (AceType.ACCESS_ALLOWED, DOWN, READ, NOBODYS),
        ),
        streams={"on a folder": b"too"},
    ),
    "folder\\below": Facts(FileAttribute.DIRECTORY | FileAttribute.HIDDEN, eas={"DEPTH": b"2"}),
    "folder\\below\\file": Facts(FileAttribute.NORMAL, BORN + 1, BORN + 2),
}  # fmt: skip


@pytest.fixture
def sides(serve, tmp_path):
    """smbport and smbd over one folder, both with an administrator's rights."""
    server = serve(server={"administrators": ["alice"]}, shares={"data": {"acl": "nt"}})
    with run_smbd(tmp_path / "samba", server.path(), "acl_xattr", "streams_xattr") as samba:
        both = {"smbport": Side(server), "smbd": Side(samba)}
        yield both
        for side in both.values():
            side.link.close()


def write(side: Side, name: str, facts: Facts) -> None:
    """Make it; the read-only attribute and the times last, because they end all writing."""
    options = CreateOption.DIRECTORY_FILE if facts.is_directory else CreateOption.NON_DIRECTORY_FILE
    file = side.open(name, disposition=CreateDisposition.CREATE, options=options)
    if facts.eas:
        wanted = [FullEa(ea, value) for ea, value in facts.eas.items()]
        side.client.set_info(file, FileInfo.FULL_EA, pack_ea_list(wanted, limit=65536)[0])
    for stream, data in facts.streams.items():
        side.put(f"{name}:{stream}", data)
    side.client.set_info(file, 0, facts.descriptor.pack(), info_type=InfoType.SECURITY, additional=DACL)
    basic = FileBasicInformation(
        creation_time=facts.creation_time, last_access_time=0, last_write_time=facts.last_write_time, change_time=0,
        file_attributes=facts.attributes,
    )  # fmt: skip
    side.client.set_info(file, FileInfo.BASIC, basic.pack())
    side.client.close(file)


def read(side: Side, name: str) -> tuple[Facts, bytes]:
    """What it carries, and its owner and group."""
    file = side.open(name, access=READ)
    basic = FileBasicInformation.unpack_from(side.client.query_info(file, FileInfo.BASIC))
    packed = side.client.query_info(file, 0, info_type=InfoType.SECURITY, additional=PARTS)
    found = SecurityDescriptor.parse(packed)
    try:
        eas = parse_ea_list(side.client.query_info(file, FileInfo.FULL_EA))
    except StatusError as error:
        if error.status != Status.NO_EAS_ON_FILE:
            raise
        eas = []
    side.client.close(file)
    assert found.dacl is not None
    names = [stream.split(":")[1] for stream in side.list(name)]
    facts = Facts(
        basic.file_attributes,
        basic.creation_time,
        basic.last_write_time,
        tuple((ace.type, ace.flags, ace.mask, ace.sid) for ace in found.dacl.aces),
        found.control & SecurityControl.DACL_PROTECTED,
        {stream: side.get(f"{name}:{stream}") for stream in names if stream},
        {ea.name.upper(): ea.value for ea in eas},
    )
    return facts, found.select(SecurityInformation.OWNER | SecurityInformation.GROUP).pack()


@pytest.mark.parametrize("writer", ["smbport", "smbd"])
def test_a_tree(sides, writer):
    for name, facts in TREE.items():
        write(sides[writer], name, facts)
    for name, facts in reversed(TREE.items()):  # what was made in a folder has changed its time of writing
        if facts.is_directory:
            set_times(sides[writer], name, facts)
    for name, facts in TREE.items():
        seen = {side: read(sides[side], name) for side in sides}
        assert seen["smbd"] == seen["smbport"], name
        assert seen[writer][0] == facts, name


def set_times(side: Side, name: str, facts: Facts) -> None:
    file = side.open(name, options=CreateOption.DIRECTORY_FILE)
    basic = FileBasicInformation(
        creation_time=0, last_access_time=0, last_write_time=facts.last_write_time, change_time=0, file_attributes=0
    )
    side.client.set_info(file, FileInfo.BASIC, basic.pack())
    side.client.close(file)
