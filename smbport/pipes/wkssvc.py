"""The workstation service: who this machine is.  [MS-WKST]"""

from collections.abc import Callable, Mapping
from typing import Final

from smbport.pipes.levels import PLATFORM_NT, answer_level
from smbport.pipes.ndr import NdrReader, Row
from smbport.pipes.rpc import Interface, uuid_bytes
from smbport.pipes.server_info import ServerInfo

__all__ = ["WKSSVC"]

# Discriminants that WKSTA_INFO has an arm for.  [MS-WKST] 2.2.4.1
_WORKSTATION_ARMS: Final = frozenset({100, 101, 102, 502, 1013, 1018, 1046})


def _row_100(server: ServerInfo) -> Row:
    return PLATFORM_NT, server.name, server.domain, server.major, server.minor


# WKSTA_INFO_n: 101 adds the LAN Manager root, which is empty, 102 how many users are logged on here: the one who asks.
# [MS-WKST] 2.2.5.1 to 2.2.5.3
_WORKSTATION_ROWS: Final[Mapping[int, Callable[[ServerInfo], Row]]] = {
    100: _row_100,
    101: lambda server: (*_row_100(server), ""),
    102: lambda server: (*_row_100(server), "", 1),
}


def _workstation_information(server: ServerInfo, stub: NdrReader) -> bytes:
    """NetrWkstaGetInfo.  [MS-WKST] 3.2.4.1"""
    stub.optional_string()
    return answer_level(stub.u32(), _WORKSTATION_ROWS, server, _WORKSTATION_ARMS)


WKSSVC: Final = Interface(
    uuid_bytes("6bffd098-a112-3610-9833-46c3f87e345a"),
    1,
    0,
    {0: _workstation_information},
)
