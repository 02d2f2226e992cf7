"""SET_INFO that dooms a file or spares it, against a volume in memory."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.wire.constants import FileAttribute, FileInfo
from smbport.wire.fscc import DispositionFlag, FileDispositionInformation, FileDispositionInformationEx
from smbport.wire.status import Status

Refused = Callable[[int], Any]


def doom(share: Any, opened: Any, pending: int = 1) -> None:
    share.set(opened, FileInfo.DISPOSITION, FileDispositionInformation(delete_pending=pending).pack())


def doom_ex(share: Any, opened: Any, flags: int) -> None:
    share.set(opened, FileInfo.DISPOSITION_EX, FileDispositionInformationEx(flags=flags).pack())


def test_doomed_and_spared(share: Any) -> None:
    share.make("a")
    share.make_directory("d")
    for path in ("a", "d"):
        opened, other = share.open(path), share.open(path)
        doom(share, opened)
        assert other.shared.delete_pending
        doom(share, other, 0)
        assert not opened.shared.delete_pending
        doom_ex(share, opened, DispositionFlag.DELETE | DispositionFlag.FORCE_IMAGE_SECTION_CHECK)
        assert opened.shared.delete_pending
        doom_ex(share, opened, 0)
        assert not opened.shared.delete_pending


def test_directory_that_is_not_empty(share: Any, refused: Refused) -> None:
    share.make_directory("d")
    share.make("d/a")
    opened = share.open("d")
    listed = share.list(opened, flags=2)
    handles = share.inner.open_handles
    with refused(Status.DIRECTORY_NOT_EMPTY):
        doom(share, opened)
    assert share.inner.open_handles == handles
    assert not opened.shared.delete_pending
    assert [entry.name for entry in listed + share.list(opened)] == [".", "..", "a"]


def test_the_root_stays(share: Any, refused: Refused) -> None:
    with refused(Status.CANNOT_DELETE):
        doom(share, share.open(""))


def test_readonly_stays_unless_told_otherwise(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a")
    opened.node.set_marks(FileAttribute.READONLY, None)
    with refused(Status.CANNOT_DELETE):
        doom(share, opened)
    with refused(Status.CANNOT_DELETE):
        doom_ex(share, opened, DispositionFlag.DELETE)
    doom_ex(share, opened, DispositionFlag.DELETE | DispositionFlag.IGNORE_READONLY_ATTRIBUTE)
    assert opened.shared.delete_pending


def test_the_directory_above_decides(share: Any, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    share.make("a")
    inner = type(share.inner.open_volume("data"))
    monkeypatch.setattr(inner, "may_remove", lambda self, path, wait=False: False)
    with refused(Status.ACCESS_DENIED):
        doom(share, share.open("a"))


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        (DispositionFlag.DELETE | DispositionFlag.POSIX_SEMANTICS, Status.NOT_SUPPORTED),
        (DispositionFlag.ON_CLOSE, Status.NOT_SUPPORTED),
        (0x20, Status.INVALID_PARAMETER),
    ],
)
def test_disposition_flags_that_are_not_offered(share: Any, refused: Refused, flags: int, status: int) -> None:
    share.make("a")
    opened = share.open("a")
    with refused(status):
        doom_ex(share, opened, flags)
    assert not opened.shared.delete_pending


def test_closed_while_a_thread_asked_whether_it_may_go(share: Any, refused: Refused) -> None:
    share.make("a")
    opened, other = share.open("a"), share.open("a")
    opened.pins += 1
    share.faults.force_threads("Volume.may_remove")
    handler = share.start_set(opened, FileInfo.DISPOSITION, b"\x01")
    step = handler.send(None)
    share.server.close_open(opened)
    with refused(Status.FILE_CLOSED):
        handler.send(step.function(*step.args, wait=True))
    assert not other.shared.delete_pending
