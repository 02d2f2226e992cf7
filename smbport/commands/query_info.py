"""QUERY_INFO: what is common to all of its types.  [MS-SMB2] 3.3.5.20

The types are in file_information.py, volume_information.py and security_information.py.
"""

from typing import Final

from smbport.commands.call import Call, Reply
from smbport.commands.extended_attributes import query_full_ea
from smbport.commands.file_information import query_file, query_pipe, query_streams
from smbport.commands.rights import FILE_QUERY, FS_QUERY, Right
from smbport.commands.security_information import query_security
from smbport.commands.volume_information import query_volume
from smbport.state.open import FileOpen
from smbport.wire import fscc, fscc_volume
from smbport.wire.constants import FileInfo, FsInfo, InfoType, name
from smbport.wire.fscc_directory import FIXED_SIZE
from smbport.wire.info import QueryInfoRequest, pack_query_info_response
from smbport.wire.status import Status, StatusError

__all__ = ["find_right", "query_info"]

_KNOWN: Final[dict[type, frozenset[int]]] = {
    namespace: frozenset(value for key, value in vars(namespace).items() if key.isupper())
    for namespace in (FileInfo, FsInfo)
}
_LISTED: Final = frozenset(FIXED_SIZE)


async def query_info(call: Call, request: QueryInfoRequest) -> Reply:
    """[MS-SMB2] 3.3.5.20"""
    limit = call.connection.max_transact
    if request.output_buffer_length > limit or request.input_buffer_length > limit:
        raise StatusError(Status.INVALID_PARAMETER, f"more than {limit} bytes")
    match request.info_type:
        case InfoType.FILE:
            return await _query_file(call, request)
        case InfoType.FILESYSTEM:
            return await _query_volume(call, request)
        case InfoType.SECURITY:
            return await query_security(call, call.file, request)
        case InfoType.QUOTA:
            raise StatusError(Status.NOT_SUPPORTED, "no quotas")
        case _:
            raise StatusError(Status.INVALID_PARAMETER, f"info type {request.info_type}")


def find_right(rights: dict[int, Right], namespace: type, info_class: int) -> Right:
    """The row of an information class.  Raises NOT_SUPPORTED, or INVALID_INFO_CLASS if [MS-FSCC] has no such class."""
    right = rights.get(info_class)
    if right is None:
        known = info_class in _KNOWN[namespace] or (namespace is FileInfo and info_class in _LISTED)
        raise StatusError(
            Status.NOT_SUPPORTED if known else Status.INVALID_INFO_CLASS, f"class {name(namespace, info_class)}"
        )
    return right


async def _query_file(call: Call, request: QueryInfoRequest) -> Reply:
    """[MS-SMB2] 3.3.5.20.1"""
    info_class, length = request.file_info_class, request.output_buffer_length
    opened = call.opened
    assert opened is not None
    find_right(FILE_QUERY, FileInfo, info_class).check(opened)
    _check_length(length, fscc.MINIMUM_OUTPUT_LENGTH.get(info_class, 0))
    if isinstance(opened, FileOpen):
        if info_class == FileInfo.FULL_EA:
            data, status = await query_full_ea(call, opened, request)
            return Reply(pack_query_info_response(data), None, status)
        if info_class == FileInfo.STREAM:
            data, status = await query_streams(opened, length)
            return Reply(pack_query_info_response(data), None, status)
        return _reply(await query_file(call, opened, info_class), length)
    return _reply(query_pipe(opened, info_class), length)


async def _query_volume(call: Call, request: QueryInfoRequest) -> Reply:
    """[MS-SMB2] 3.3.5.20.2"""
    info_class, length = request.file_info_class, request.output_buffer_length
    opened = call.file
    find_right(FS_QUERY, FsInfo, info_class).check(opened)
    _check_length(length, fscc_volume.MINIMUM_OUTPUT_LENGTH[info_class])
    return _reply(await query_volume(call, opened, info_class), length)


def _check_length(length: int, minimum: int) -> None:
    if length < minimum:
        raise StatusError(Status.INFO_LENGTH_MISMATCH, f"{length} bytes where {minimum} are the least")


def _reply(data: bytes, length: int) -> Reply:
    """What is too long is cut, and the status says so."""
    if len(data) <= length:
        return Reply(pack_query_info_response(data))
    return Reply(pack_query_info_response(data[:length]), None, Status.BUFFER_OVERFLOW)
