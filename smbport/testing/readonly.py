"""Any platform without the power to change anything: OSError(EROFS) for every call that would."""

import dataclasses
import errno
import os
from typing import Final, TypeVar, cast

from smbport.platform import ACCESS_WRITE, Directory, Features, File
from smbport.testing.calls import Call, wrap

__all__ = ["read_only"]

T = TypeVar("T")

HARMLESS_ROLES: Final = ("Platform", "Sockets", "ZeroCopy", "Identity", "Watch", "Watcher", "Snapshots")
HARMLESS: Final = frozenset({
    "Volume.acting_as", "Volume.stat", "Volume.read_link", "Volume.sync_directory_of", "Volume.space", "Volume.close",
    "File.stat", "File.sync", "File.close", "File.fileno", "File.read_at",
    "Directory.stat", "Directory.sync", "Directory.close", "Directory.entries", "Directory.rewind",
    "AccessControl.lists", "AccessControl.descriptor", "Attributes.names", "Attributes.get",
    "Streams.entries", "Streams.open",
    "Sparse.data_ranges",
})  # fmt: skip
"""What passes.  All else is refused, so that a call the contract gains later is too."""


def read_only(inner: T) -> T:
    """The platform, volume, file or directory `inner`, for reading; `Features.read_only` says so.

    A directory still opens with ACCESS_WRITE, which means nothing for listing.
    """
    return wrap(inner, _intercept, alter_features=_alter_features)


def _intercept(call: Call) -> object:
    if call.role in HARMLESS_ROLES or call.path in HARMLESS:
        return call.proceed()
    if call.path == "Volume.open":
        return _open(call)
    if call.path == "Volume.may_remove":
        call.replace().proceed()  # for its errors
        return False
    raise _refusal()


def _open(call: Call) -> object:
    access = call.arguments["access"]
    assert isinstance(access, int)
    if not access & ACCESS_WRITE:
        return call.proceed()
    node = cast("File | Directory", call.replace(access=access & ~ACCESS_WRITE).proceed())
    if node.is_directory:
        return node
    node.close()
    raise _refusal()


def _refusal() -> OSError:
    return OSError(errno.EROFS, os.strerror(errno.EROFS))


def _alter_features(features: Features) -> Features:
    return dataclasses.replace(features, read_only=True)
