"""The response to CREATE, packed in one call.  [MS-SMB2] 2.2.14

Apart from its record, which reads it, because this runs for every open.
"""

import struct
from collections.abc import Sequence
from typing import Final

from smbport.wire.create_contexts import pack_create_contexts
from smbport.wire.header import HEADER_SIZE

__all__ = ["pack_create_response"]

_RESPONSE: Final = struct.Struct("<HBBIQQQQQQI4xQQII")
_STRUCTURE_SIZE: Final = 89


def pack_create_response(
    oplock_level: int, create_action: int, creation_time: int, last_access_time: int, last_write_time: int,
    change_time: int, allocation_size: int, end_of_file: int, file_attributes: int, file_id_persistent: int,
    file_id_volatile: int, contexts: Sequence[tuple[bytes, bytes]],
) -> bytes:  # fmt: skip
    """The body with its create contexts; the arguments are the fields of `CreateResponse`, in their order."""
    chain = pack_create_contexts(contexts) if contexts else b""
    fixed = _RESPONSE.pack(
        _STRUCTURE_SIZE, oplock_level, 0, create_action, creation_time, last_access_time, last_write_time, change_time,
        allocation_size, end_of_file, file_attributes, file_id_persistent, file_id_volatile,
        HEADER_SIZE + _RESPONSE.size if chain else 0, len(chain),
    )  # fmt: skip
    return fixed + chain
