"""Application instances: the same program on another machine takes its files over.  [MS-SMB2] 3.3.5.9.13, 3.3.5.9.16

an open with the same id and path     its version                        then
of the same client                    any                                nothing
of another client                     not below the new one's, and both  the new one is refused
                                      have one
of another client                     anything else                      it is closed
"""

from typing import TYPE_CHECKING, NamedTuple

from smbport.wire.status import Status, StatusError

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.tree import Share

__all__ = ["AppInstance", "AppInstances"]


class AppInstance(NamedTuple):
    """Whose an open is."""

    app_instance_id: bytes
    version: tuple[int, int]  # high, low; (0, 0): none
    client_guid: bytes


class AppInstances:
    """All opens of application instances."""

    __slots__ = ("_by_id",)

    def __init__(self) -> None:
        self._by_id: dict[bytes, dict[FileOpen, None]] = {}

    def add(self, opened: "FileOpen", instance: AppInstance) -> None:
        """An open belongs to an instance from now on."""
        opened.app_instance = instance
        self._by_id.setdefault(instance.app_instance_id, {})[opened] = None

    def forget(self, opened: "FileOpen") -> None:
        """It is closed."""
        instance, opened.app_instance = opened.app_instance, None
        if instance is not None:
            opens = self._by_id[instance.app_instance_id]
            del opens[opened]
            if not opens:
                del self._by_id[instance.app_instance_id]

    def find_displaced(self, instance: AppInstance, share: "Share", path: str) -> "list[FileOpen]":
        """What another client's instance has open of this file.  Raises FILE_FORCED_CLOSED if that one is newer."""
        found: list[FileOpen] = []
        for opened in self._by_id.get(instance.app_instance_id, ()):
            other = opened.app_instance
            assert other is not None
            if other.client_guid == instance.client_guid or opened.tree.share is not share:
                continue
            if not share.is_same_path(opened.path, path):
                continue
            if any(instance.version) and any(other.version) and other.version >= instance.version:
                raise StatusError(Status.FILE_FORCED_CLOSED, "a newer instance has it")
            found.append(opened)
        return found
