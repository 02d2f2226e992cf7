"""ECHO: is anybody there?  [MS-SMB2] 3.3.5.17"""

from typing import Final

from smbport.commands.call import Call, Reply
from smbport.wire.echo import EchoRequest, EchoResponse

__all__ = ["echo"]

_REPLY: Final = Reply(EchoResponse())


async def echo(call: Call, request: EchoRequest) -> Reply:
    """[MS-SMB2] 3.3.5.17"""
    return _REPLY
