"""The Linux kernel's client mounts a share as it was, by its option `snapshot`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from smbport.wire.text import filetime_from_ns
from tests.vm import client
from tests.vm.mounting import Mounter, Refused
from tests.vm.server import Server

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

TAKEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOKEN = TAKEN.strftime("@GMT-%Y.%m.%d-%H.%M.%S")
FILETIME = filetime_from_ns(int(TAKEN.timestamp()) * 10**9)


@pytest.fixture
def then(server: Server, tmp_path: Path) -> Path:
    """What the folder of the test was, when the snapshot was taken."""
    folder = server.share / ".snapshots" / TAKEN.strftime("%Y.%m.%d-%H.%M.%S") / tmp_path.name
    (folder / "folder").mkdir(parents=True)
    (folder / "file").write_text("then")
    (folder / "folder" / "deep").write_text("deep")
    return folder


@pytest.mark.parametrize("mode", ["2.1-plain", "3.1.1-plain", "3.1.1-seal"])
@pytest.mark.parametrize("time", [TOKEN, FILETIME])
def test_a_mounted_snapshot(mounter: Mounter, then: Path, mode: str, time: str | int):
    with mounter(mode, f"snapshot={time}", share="kept") as mount:
        (mount.folder / "file").write_text("now")
        (mount.folder / "new").touch()
        assert mount.call(client.read_text, "file") == "then"
        assert mount.call(client.read_text, "folder/deep") == "deep"
        assert {name for name, _, _ in mount.call(client.list_folder, ".")} == {"file", "folder"}
        assert mount.call(client.write_text, "file", "changed") == "EROFS"
        assert mount.call(client.refusals, ("mkdir", "new"), ("unlink", "file")) == ["EROFS", "EROFS"]
    assert (then / "file").read_text() == "then"
    with mounter(mode, share="kept") as mount:
        assert mount.call(client.read_text, "file") == "now"


def test_a_snapshot_that_is_not_there(mounter: Mounter, then: Path):
    with pytest.raises(Refused), mounter("3.1.1-plain", f"snapshot={FILETIME + 10**7}", share="kept"):
        pass
