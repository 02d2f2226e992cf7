"""T2: DOS attributes, times of birth and extended attributes."""

import errno
import os
from contextlib import closing
from functools import partial
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.platform import ACCESS_NONE
from smbport_freebsd.calls import (
    EXTATTR_NAMESPACE_USER,
    UF_ARCHIVE,
    UF_HIDDEN,
    UF_SYSTEM,
    Calls,
    StatStruct,
    split_names,
)
from smbport_freebsd.platform import FreeBSDPlatform
from smbport_freebsd.stats import add_flags, make_stat, with_flags
from smbport_freebsd.volume import FreeBSDVolume
from tests.platforms.freebsd.volumes import create, failure_of

UF_NODUMP = 1
SOME_NS = 1_000_000_000 * 10**9


def test_the_time_of_birth_stays_when_an_earlier_write_time_is_set(volume: FreeBSDVolume, share: Path):
    with closing(create(volume)) as file:
        born_ns = file.stat().birth_ns
        file.set_times(None, SOME_NS, wait=True)
        assert file.stat().birth_ns // 100 == born_ns // 100  # stored as a FILETIME
        assert volume.calls.state(file.fileno()).st_birthtim.tv_sec == SOME_NS // 10**9  # FreeBSD's own
        file.set_marks(None, SOME_NS + 100, wait=True)
        assert file.stat().birth_ns == SOME_NS + 100


def test_dos_attributes_are_flags(volume: FreeBSDVolume):
    with closing(create(volume)) as file:
        calls, fd = volume.calls, file.fileno()
        calls.set_flags(fd, UF_NODUMP)
        assert file.stat().dos_attributes is None
        file.set_marks(0x2003, None, wait=True)
        assert calls.state(fd).st_flags == UF_NODUMP | UF_HIDDEN
        calls.set_flags(fd, UF_SYSTEM)  # as `chflags usystem` does
        assert file.stat().dos_attributes == 0x2005
        assert volume.stat("file", wait=True).dos_attributes == 0x2005


def test_flags_alone_say_something(volume: FreeBSDVolume):
    with closing(create(volume)) as file:
        volume.calls.set_flags(file.fileno(), UF_ARCHIVE)  # as ZFS does with all that is new
        assert file.stat().dos_attributes is None
        volume.calls.set_flags(file.fileno(), UF_ARCHIVE | UF_HIDDEN)
        assert file.stat().dos_attributes == 0x22


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF))
def test_flags_say_what_they_were_told(flags: int, dos_attributes: int):
    stat = make_stat(StatStruct())
    stat.dos_attributes = dos_attributes
    changed = with_flags(flags, dos_attributes)
    add_flags(stat, changed)
    assert stat.dos_attributes == dos_attributes
    assert (changed ^ flags) & ~(UF_HIDDEN | UF_SYSTEM | UF_ARCHIVE | 0x200) == 0


def test_flags_say_nothing_of_what_samba_stored(volume: FreeBSDVolume):
    """It does not set them; the next change of ours does."""
    by_samba = b"\0\0" + pack("<HIIIQ", 5, 5, 0x11, 0x22, 130_000_000_000_000_000)
    with closing(create(volume)) as file:
        volume.calls.set_attribute(file.fileno(), EXTATTR_NAMESPACE_USER, b"DOSATTRIB", by_samba)
        assert file.stat().dos_attributes == 0x22
        file.set_marks(None, SOME_NS, wait=True)
        assert (file.stat().dos_attributes, file.stat().birth_ns) == (0x22, SOME_NS)
        volume.calls.set_flags(file.fileno(), UF_ARCHIVE)
        assert file.stat().dos_attributes == 0x20


def test_where_flags_are_not_kept_marks_are_enough(newest: FreeBSDPlatform, share: Path):
    with newest.calls.on(b"fusefs"), closing(newest.open_volume(str(share))) as volume:
        assert volume.features.file_system == "fusefs"
        with closing(create(volume)) as file:
            file.set_marks(0x22, None, wait=True)
            assert file.stat().dos_attributes == 0x22
            assert volume.calls.state(file.fileno()).st_flags == 0


def test_where_attributes_are_not_kept_nothing_is_stored(newest: FreeBSDPlatform, share: Path, monkeypatch):
    def unsupported(self: Calls, fd: int, namespace: int, name: bytes) -> bytes | None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(Calls, "get_attribute", unsupported)
    with closing(newest.open_volume(str(share))) as volume:
        assert not volume.features.stores_marks
        assert not volume.features.birth_time  # it would move
        with closing(create(volume)) as file, pytest.raises(OSError, match="supported"):
            file.set_marks(0x22, None, wait=True)


def test_attributes_without_what_servers_keep(newest: FreeBSDPlatform, volume: FreeBSDVolume, share: Path):
    attributes = newest.attributes
    with closing(create(volume)) as file:
        file.set_marks(0x22, None, wait=True)
        attributes.set(file, "comment", b"x" * 2000, wait=True)  # more than is read in one call
        for number in range(20):
            attributes.set(file, f"{number:020}", b"", wait=True)
        os.setxattr(share / "file", "user.DosStream.s:$DATA", b"stream")
        assert sorted(attributes.names(file, wait=True)) == [*(f"{number:020}" for number in range(20)), "comment"]
        assert attributes.get(file, "comment", wait=True) == b"x" * 2000
        assert attributes.get(file, "DOSATTRIB", wait=True) is None
        for function, arguments in (("set", (b"",)), ("remove", ())):
            change = partial(getattr(attributes, function), file, "DOSATTRIB", *arguments, wait=True)
            assert failure_of(change) in (errno.EPERM, errno.ENOENT)
        for name in ("nul\0", "\ud800"):
            with pytest.raises(OSError, match="Invalid"):
                attributes.get(file, name, wait=True)
    with closing(volume.open("file", ACCESS_NONE, wait=True)) as node:
        assert attributes.get(node, "comment", wait=True) == b"x" * 2000


@given(st.lists(st.binary(max_size=255)))
def test_listed_names(names: list[bytes]):
    assert split_names(b"".join(bytes([len(name)]) + name for name in names)) == names
