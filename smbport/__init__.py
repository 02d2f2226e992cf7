"""smbport: an SMB 2.0.2 - 3.1.1 file server on trio, with one small capability interface to the system below.

    async with smbport.serve({"data": "/srv/data"}, users={"alice": "secret"}) as server:
        ...

Names are imported on first use, because some ports must prepare the event loop before trio is imported.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smbport.server.serve import Serving, serve
    from smbport.state.settings import Limits, Settings, ShareSettings
    from smbport.users import MemoryUsers, UserStore

__all__ = ["Limits", "MemoryUsers", "Serving", "Settings", "ShareSettings", "UserStore", "__version__", "serve"]

__version__ = "0.1.0"

_HOMES = {
    "Serving": "smbport.server.serve",
    "serve": "smbport.server.serve",
    "Limits": "smbport.state.settings",
    "Settings": "smbport.state.settings",
    "ShareSettings": "smbport.state.settings",
    "MemoryUsers": "smbport.users",
    "UserStore": "smbport.users",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'smbport' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
