"""FILE_ALL_INFORMATION, packed in one call.  [MS-FSCC] 2.4.2

Apart from its record, which reads it, because clients ask for it whenever they look at a file: one call packs what
would be eight records.
"""

import struct
from typing import Final

from smbport.wire.text import encode_utf16

__all__ = ["pack_all_information"]

# Basic, standard, internal, EA, access, position, mode and alignment; then the length of the name.
_FIXED: Final = struct.Struct("<QQQQI4xQQIBB2xQIIqIII")


def pack_all_information(
    creation_time: int, last_access_time: int, last_write_time: int, change_time: int, file_attributes: int,
    allocation_size: int, end_of_file: int, number_of_links: int, delete_pending: bool, directory: bool,
    index_number: int, ea_size: int, access_flags: int, current_byte_offset: int, mode: int,
    alignment_requirement: int, name: str,
) -> bytes:  # fmt: skip
    """The arguments are the fields of the classes in `FileAllInformation`, in their order."""
    encoded = encode_utf16(name)
    fixed = _FIXED.pack(
        creation_time, last_access_time, last_write_time, change_time, file_attributes, allocation_size, end_of_file,
        number_of_links, delete_pending, directory, index_number, ea_size, access_flags, current_byte_offset, mode,
        alignment_requirement, len(encoded),
    )  # fmt: skip
    return fixed + encoded
