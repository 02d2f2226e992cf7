"""Copying inside the server while files change; the rest is in test_copy_chunk.py and test_offload.py."""

import errno
from typing import Any

import pytest

from smbport.wire.constants import FsControl
from smbport.wire.ioctl import SrvCopychunk, SrvCopychunkResponse, pack_copychunk_copy

DATA = bytes(range(256)) * 64


def copy(peer: Any, source: Any, target: Any) -> tuple[str, int]:
    """All of the source: the status, and how many bytes."""
    _, output = peer.fsctl(FsControl.SRV_REQUEST_RESUME_KEY, file=source)
    chunk = SrvCopychunk(source_offset=0, target_offset=0, length=len(DATA))
    status, output = peer.fsctl(FsControl.SRV_COPYCHUNK, pack_copychunk_copy(output[:24], [chunk]), file=target)
    return status, SrvCopychunkResponse.unpack_from(output).total_bytes_written


@pytest.fixture
def files(wire: Any, peer: Any) -> tuple[Any, Any]:
    wire.make("source", DATA)
    return peer.open("source"), peer.make("target")


def test_less_than_was_asked_for_is_gone_on_with(wire: Any, peer: Any, files: Any) -> None:
    wire.faults.shorten("Clone.copy", 1000)
    assert copy(peer, *files) == ("SUCCESS", len(DATA))
    assert wire.content("target") == DATA
    assert wire.faults.counts["Clone.copy"] == 17


def test_files_that_the_platform_cannot_copy_between(wire: Any, peer: Any, files: Any) -> None:
    wire.faults.fail("Clone.copy", errno.EXDEV, times=None)
    assert copy(peer, *files) == ("SUCCESS", len(DATA))
    assert wire.content("target") == DATA


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_local_program_cuts_the_source(wire: Any, peer: Any, files: Any, by_hand: bool) -> None:
    if by_hand:
        wire.faults.fail("Clone.copy", errno.EXDEV, times=None)
    else:
        wire.faults.shorten("Clone.copy", 1000)

    def cut() -> None:
        node = wire.volume.open("source", 2)
        node.resize(0)
        node.close()

    wire.faults.do_before("File.read_at" if by_hand else "Clone.copy", cut, nth=1 if by_hand else 2)
    assert copy(peer, *files) == ("END_OF_FILE", 0 if by_hand else 1000)


def test_a_failed_write_through_is_remembered(wire: Any, peer: Any) -> None:
    """A flush that comes later must not say that all is well."""
    wire.make("source", DATA)
    wire.make("target")
    source, target = peer.open("source"), peer.open("target", options=0x2)
    wire.faults.fail("File.sync", errno.EIO)
    assert copy(peer, source, target)[0] == "UNEXPECTED_IO_ERROR"
    [opened] = [o for o in next(iter(wire.server.sessions.values())).opens.values() if o.path == "target"]
    assert opened.shared.sync_failed
