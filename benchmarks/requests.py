"""Requests to be packed: what the operations are made of.  Those without a file are related to the CREATE before."""

from collections.abc import Sequence
from typing import Final

from benchmarks.burst import Request
from smbport.testing.client import FileId
from smbport.wire.constants import Access, Command, CreateDisposition, FileInfo, InfoType, LockFlag, ShareAccess
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.directory import QueryDirectoryRequest, pack_query_directory_request
from smbport.wire.echo import EchoRequest
from smbport.wire.file import (
    CloseRequest,
    FlushRequest,
    ReadRequest,
    WriteRequest,
    pack_read_request,
    pack_write_request,
)
from smbport.wire.fscc import FileDispositionInformation, FileRenameInformation, pack_with_name
from smbport.wire.info import QueryInfoRequest, SetInfoRequest, pack_query_info_request, pack_set_info_request
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request

__all__ = [
    "LISTING_SIZE", "THE_CREATED", "close", "create", "delete", "echo", "flush", "list_entries", "lock", "query_all",
    "read", "rename", "write",
]  # fmt: skip

CREDIT: Final = 64 << 10  # bytes that one credit pays for
LISTING_SIZE: Final = 64 << 10  # bytes asked for at a time, as many clients do
ALL_SHARED: Final = ShareAccess.READ | ShareAccess.WRITE | ShareAccess.DELETE
IMPERSONATION: Final = 2
THE_CREATED: Final = FileId(0, (1 << 64) - 1, (1 << 64) - 1)  # the file of the request before.  [MS-SMB2] 3.3.5.2.7.2


def echo() -> Request:
    """ECHO."""
    return Request(Command.ECHO, EchoRequest().pack())


def create(
    name: str, access: int = Access.FILE_GENERIC_READ, *, disposition: int = CreateDisposition.OPEN, options: int = 0,
    oplock: int = 0, contexts: Sequence[tuple[bytes, bytes]] = (),
) -> Request:  # fmt: skip
    """CREATE."""
    fixed = CreateRequest(
        requested_oplock_level=oplock, impersonation_level=IMPERSONATION, desired_access=access, file_attributes=0,
        share_access=ALL_SHARED, create_disposition=disposition, create_options=options,
    )  # fmt: skip
    return Request(Command.CREATE, pack_create_request(fixed, name, contexts))


def close(file: FileId = THE_CREATED) -> Request:
    """CLOSE."""
    fixed = CloseRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    return Request(Command.CLOSE, fixed.pack(), related=file is THE_CREATED)


def flush(file: FileId = THE_CREATED) -> Request:
    """FLUSH."""
    fixed = FlushRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    return Request(Command.FLUSH, fixed.pack(), related=file is THE_CREATED)


def read(offset: int, length: int, file: FileId = THE_CREATED) -> Request:
    """READ."""
    fixed = ReadRequest(
        length=length, offset=offset, file_id_persistent=file.persistent, file_id_volatile=file.volatile
    )
    return Request(Command.READ, pack_read_request(fixed), _charge(length), file is THE_CREATED)


def write(offset: int, data: bytes, file: FileId = THE_CREATED) -> Request:
    """WRITE."""
    fixed = WriteRequest(offset=offset, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    return Request(Command.WRITE, pack_write_request(fixed, data), _charge(len(data)), file is THE_CREATED)


def lock(
    offset: int, length: int, file: FileId, flags: int = LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY
) -> Request:
    """LOCK of one range."""
    fixed = LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    element = LockElement(offset=offset, length=length, flags=flags)
    return Request(Command.LOCK, pack_lock_request(fixed, [element]))


def list_entries(flags: int, file: FileId = THE_CREATED) -> Request:
    """QUERY_DIRECTORY of everything."""
    fixed = QueryDirectoryRequest(
        file_information_class=FileInfo.ID_BOTH_DIRECTORY, flags=flags, file_id_persistent=file.persistent,
        file_id_volatile=file.volatile, output_buffer_length=LISTING_SIZE,
    )  # fmt: skip
    body = pack_query_directory_request(fixed, "*")
    return Request(Command.QUERY_DIRECTORY, body, _charge(LISTING_SIZE), file is THE_CREATED)


def query_all(file: FileId = THE_CREATED) -> Request:
    """QUERY_INFO of FILE_ALL_INFORMATION."""
    fixed = QueryInfoRequest(
        info_type=InfoType.FILE, file_info_class=FileInfo.ALL, output_buffer_length=1024,
        file_id_persistent=file.persistent, file_id_volatile=file.volatile,
    )  # fmt: skip
    return Request(Command.QUERY_INFO, pack_query_info_request(fixed), related=file is THE_CREATED)


def delete(file: FileId = THE_CREATED) -> Request:
    """SET_INFO that has the file removed at its close."""
    return _set(FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=1).pack(), file)


def rename(name: str, file: FileId = THE_CREATED) -> Request:
    """SET_INFO that gives the file another name, taking it from the file that has it."""
    fixed = FileRenameInformation(replace_if_exists=1, root_directory=0)
    return _set(FileInfo.RENAME, pack_with_name(fixed, name), file)


def _set(info_class: int, data: bytes, file: FileId) -> Request:
    fixed = SetInfoRequest(
        info_type=InfoType.FILE, file_info_class=info_class, file_id_persistent=file.persistent,
        file_id_volatile=file.volatile,
    )  # fmt: skip
    return Request(Command.SET_INFO, pack_set_info_request(fixed, data), related=file is THE_CREATED)


def _charge(length: int) -> int:
    return -(-length // CREDIT)
