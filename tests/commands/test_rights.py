"""The rights table is complete and enforced: no operation without a row, no row that is not looked at."""

import itertools

import pytest

from smbport.commands import query_info, set_info
from smbport.commands.fsctl.table import ON_FILE, ON_PIPE, WITHOUT_OPEN
from smbport.commands.rights import CREATE_OPTIONS, FILE_QUERY, FILE_SET, FS_QUERY, FSCTLS, REFUSED_OPTIONS
from smbport.commands.table import RULES
from smbport.platform import ACCESS_READ
from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import Client, DirectLink, FileId
from smbport.testing.direct import DirectConnection, new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, Command, CreateDisposition, CreateOption, FileInfo, FsControl
from smbport.wire.fscc import FileEndOfFileInformation, FileRenameInformation, pack_with_name
from smbport.wire.fscc_entries import FullEa, pack_ea_list
from smbport.wire.fsctl import FileZeroDataInformation, pack_file_level_trim
from smbport.wire.ioctl import IoctlRequest, pack_ioctl_request
from smbport.wire.reparse import SymbolicLink, pack_symbolic_link
from smbport.wire.status import Status, StatusError


def constants(namespace: type) -> set[int]:
    return {value for key, value in vars(namespace).items() if key.isupper()}


def test_every_command_has_a_rule_but_cancel() -> None:
    assert set(RULES) == constants(Command) - {Command.CANCEL}


def test_every_create_option_is_allowed_or_refused() -> None:
    assert constants(CreateOption) == set(CREATE_OPTIONS) | set(REFUSED_OPTIONS)
    assert not set(CREATE_OPTIONS) & set(REFUSED_OPTIONS)


def test_every_fsctl_that_is_handled_has_its_row() -> None:
    assert {*ON_FILE, *ON_PIPE} == set(FSCTLS)
    assert not set(WITHOUT_OPEN) & set(FSCTLS)


def test_rows_are_for_classes_that_exist() -> None:
    assert set(FILE_QUERY) <= constants(FileInfo)
    assert set(FILE_SET) <= constants(FileInfo)
    assert query_info.query_info is RULES[Command.QUERY_INFO].handler
    assert set_info.set_info is RULES[Command.SET_INFO].handler
    assert FS_QUERY


def connect(*, read_only: bool = False) -> tuple[Client, int, MemoryPlatform]:
    platform = MemoryPlatform()
    volume = platform.open_volume("v")
    file = volume.create("f", 3, 0o644)
    file.write_at(0, b"content")
    file.close()
    volume.make_directory("d", 0o755).close()
    share = ShareSettings(name="s", path="v", run_as="server", read_only=read_only)
    server = new_server(Settings(server_guid=bytes(range(16)), shares=(share,)), platform, MemoryUsers({"u": "p"}))
    client = Client(DirectLink(DirectConnection(server)))
    client.negotiate()
    client.log_on("u", "p")
    return client, client.tree_connect("s"), platform


END = FileEndOfFileInformation(end_of_file=0).pack()
RENAME = pack_with_name(FileRenameInformation(replace_if_exists=0, root_directory=0), "stolen")
WRITES = Access.WRITE_DATA | Access.APPEND_DATA | Access.WRITE_ATTRIBUTES
BASIC = bytes(32) + (0x02).to_bytes(4, "little") + bytes(4)

EAS, _ = pack_ea_list([FullEa("A", b"1")], limit=100)
LINK = pack_symbolic_link(SymbolicLink("x", "x", 1))
ZERO = FileZeroDataInformation(file_offset=0, beyond_final_zero=7).pack()


def fsctl(client: Client, file: FileId, code: int, data: bytes) -> None:
    request = IoctlRequest(
        ctl_code=code, max_output_response=64, file_id_persistent=file.persistent, file_id_volatile=file.volatile
    )
    client.call(Command.IOCTL, pack_ioctl_request(request, data), tree_id=file.tree_id)


# Operation, and the right without which it must be refused.
CHANGES = {
    "write": (Access.WRITE_DATA | Access.APPEND_DATA, lambda client, file: client.write(file, 0, b"x")),
    "end of file": (Access.WRITE_DATA, lambda client, file: client.set_info(file, FileInfo.END_OF_FILE, END)),
    "allocation": (Access.WRITE_DATA, lambda client, file: client.set_info(file, FileInfo.ALLOCATION, END)),
    "rename": (Access.DELETE, lambda client, file: client.set_info(file, FileInfo.RENAME, RENAME)),
    "disposition": (Access.DELETE, lambda client, file: client.set_info(file, FileInfo.DISPOSITION, b"\1")),
    "disposition ex": (
        Access.DELETE,
        lambda client, file: client.set_info(file, FileInfo.DISPOSITION_EX, b"\1\0\0\0"),
    ),
    "extended attributes": (Access.WRITE_EA, lambda client, file: client.set_info(file, FileInfo.FULL_EA, EAS)),
    "sparse": (WRITES, lambda client, file: fsctl(client, file, FsControl.SET_SPARSE, b"")),
    "zero": (Access.WRITE_DATA, lambda client, file: fsctl(client, file, FsControl.SET_ZERO_DATA, ZERO)),
    "trim": (
        Access.WRITE_DATA,
        lambda client, file: fsctl(client, file, FsControl.FILE_LEVEL_TRIM, pack_file_level_trim([(0, 7)])),
    ),
    "link": (WRITES, lambda client, file: fsctl(client, file, FsControl.SET_REPARSE_POINT, LINK)),
    "attributes": (Access.WRITE_ATTRIBUTES, lambda client, file: client.set_info(file, FileInfo.BASIC, BASIC)),
}
READS = {
    "read": (Access.READ_DATA | Access.EXECUTE, lambda client, file: client.read(file, 0, 7)),
    "query attributes": (Access.READ_EA, lambda client, file: client.query_info(file, FileInfo.FULL_EA)),
}


@pytest.mark.parametrize("name", [*CHANGES, *READS])
def test_a_handle_without_the_right_is_refused_and_nothing_changes(name: str) -> None:
    right, operation = {**CHANGES, **READS}[name]
    client, tree, platform = connect()
    access = Access.FILE_ALL_ACCESS & ~right
    if right & Access.DELETE:
        access &= ~Access.DELETE
    file = client.create(tree, "f", access=access)
    with pytest.raises(StatusError) as refusal:
        operation(client, file)
    assert refusal.value.status == Status.ACCESS_DENIED
    check_untouched(client, file, platform)


@pytest.mark.parametrize("name", CHANGES)
def test_no_change_through_a_read_only_share(name: str) -> None:
    client, tree, platform = connect(read_only=True)
    file = client.create(tree, "f", access=Access.GENERIC_READ)
    with pytest.raises(StatusError) as refusal:
        CHANGES[name][1](client, file)
    assert refusal.value.status in (Status.ACCESS_DENIED, Status.MEDIA_WRITE_PROTECTED)
    check_untouched(client, file, platform)


def test_no_change_by_opening_through_a_read_only_share() -> None:
    client, tree, platform = connect(read_only=True)
    changing = (Access.GENERIC_WRITE, Access.DELETE, Access.WRITE_DAC, Access.GENERIC_ALL, Access.APPEND_DATA)
    attempts = [
        *itertools.product(changing, (CreateDisposition.OPEN,), ("f", "new")),
        *itertools.product((Access.GENERIC_READ,), (0, 2, 4, 5), ("f", "new")),
        (Access.GENERIC_READ, CreateDisposition.OPEN_IF, "new"),
    ]
    for access, disposition, name in attempts:
        with pytest.raises(StatusError):
            client.create(tree, name, access=access, disposition=disposition)
    file = client.create(tree, "f", access=Access.MAXIMUM_ALLOWED)
    check_untouched(client, file, platform)


def check_untouched(client: Client, file: FileId, platform: MemoryPlatform) -> None:
    """Not even after the handle is closed."""
    client.close(file)
    volume = platform.open_volume("v")
    node = volume.open("f", ACCESS_READ)
    assert not node.is_directory
    assert node.read_at(0, 100) == b"content"
    assert node.stat().dos_attributes is None
    node.close()
