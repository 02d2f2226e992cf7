"""What is attached to a file beside its data: extended attributes and named streams."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from smbport.platform.volumes import Directory, Entry, File, Node, Stat

__all__ = ["Attributes", "StreamEntry", "Streams"]


class Attributes(Protocol):
    """Extended attributes: small named byte strings attached to a file."""

    max_value: int  # bytes of one value that the system can take at most

    def names(self, node: Node, *, seen: Stat | None = None, wait: bool = False) -> list[str]:
        """All names, without a namespace prefix and without those that servers keep for themselves.

        `seen` is the state that the node has right before, if that is known: a port may remember what such a file has.
        """

    def get(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        """The value, or None if there is no such attribute."""

    def lengths(
        self, directory: Directory, entries: Sequence[Entry], *, wait: bool = False
    ) -> list[Mapping[str, int] | None]:
        """Of what `directory.entries` has just given, with its state: what attributes, and how long each is.

        Values that this identity may not read are left out, and what has vanished has none.  None for an entry of
        which it must be asked by opening it: a symbolic link always, any where the system knows no quicker way.
        """

    def set(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        """Make or replace.  OSError(ENOSPC) or OSError(E2BIG) if it does not fit."""

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        """Remove; FileNotFoundError if there is no such attribute."""


class StreamEntry(NamedTuple):
    """One named stream."""

    name: str
    size: int
    allocated: int


class Streams(Protocol):
    """Named streams: further contents of a file or directory, beside its data and attached to it.

    Only where `Features.streams` is true.  They go with the file, also when it is replaced.  Names are taken as they
    are spelled; two that differ in case are two streams here, and the core sees to it that there is only one.

    An open stream is a File.  Its size is the stream's and its kind FILE; all else that its Stat says, and what is set
    through it, is the file's.  What may be done with it the core decides, as it does for whoever removes and renames;
    only `create` takes the right to write to the file.
    """

    def entries(self, node: Node, *, wait: bool = False) -> list[StreamEntry]:
        """All named streams."""

    def open(self, node: File | Directory, name: str, *, wait: bool = False) -> File:
        """Open a stream.  FileNotFoundError if there is none of that name.

        The File takes the node over, and its `close` closes both; but not if this raises.
        """

    def create(self, node: File | Directory, name: str, *, wait: bool = False) -> File:
        """Make an empty stream and open it likewise.  FileExistsError if there is one of that name.

        OSError(ENAMETOOLONG) or OSError(EINVAL) if a stream cannot have that name; OSError(ENOSPC) if there is no room.
        """

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        """Remove a stream with its data.  FileNotFoundError if there is none of that name."""

    def rename(self, node: Node, old: str, new: str, *, wait: bool = False) -> None:
        """Give a stream another name, also while it is open.  FileExistsError if `new` is taken."""
