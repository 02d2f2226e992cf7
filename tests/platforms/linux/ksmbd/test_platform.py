"""smbport_linux.ksmbd and its platform: what a kernel can do, said before anything is started."""

import os
import sys
from dataclasses import replace

import pytest

from smbport.kernel import KernelError, KernelShare
from smbport.platform import POWERS, Port
from smbport.registry import describe
from smbport_linux.ksmbd import PORT
from smbport_linux.ksmbd import platform as module
from smbport_linux.ksmbd.control import Control
from smbport_linux.ksmbd.netlink import Family
from smbport_linux.ksmbd.platform import Ksmbd, probe


@pytest.fixture
def control(tmp_path):
    control = Control(str(tmp_path))
    control.directory.mkdir(parents=True)
    (control.directory / "stats").write_text("2 running 445 0\n")
    (control.directory / "kill_server").touch()
    return control


def test_the_port():
    port: Port = PORT
    assert port.name == "linux-kernel"
    assert port.matches() is False


@pytest.mark.parametrize(
    ("name", "value", "said"), [("platform", "freebsd15", "a part of Linux"), ("byteorder", "big", "little-endian")]
)
def test_systems_that_it_is_not_for(monkeypatch, name, value, said):
    monkeypatch.setattr(sys, name, value)
    with pytest.raises(RuntimeError, match=said):
        PORT.probe()


def test_a_kernel_without_the_module():
    with pytest.raises(RuntimeError, match=r"this kernel \(0\.0\) has no module ksmbd; try --platform linux"):
        probe("0.0")


def test_every_power_is_there_or_its_absence_explained(monkeypatch):
    monkeypatch.setattr(module, "find_module", lambda release: True)
    platform = PORT.probe()
    assert platform.name == "linux-kernel"
    rows = {row.name: row for row in describe(platform)}
    assert list(rows) == list(POWERS)
    assert rows["kernel"].present
    assert all(row.present is not bool(row.reason) for row in rows.values())
    assert set(platform.absent) == {name for name, row in rows.items() if not row.present}
    assert {name for name, row in rows.items() if row.present} <= {"kernel", "identity"}


def test_a_process_that_cannot_be_others(monkeypatch):
    monkeypatch.setattr(module, "find_module", lambda release: True)
    here = replace(module.linux.probe(), identity=None, absent={"identity": "It takes root."})
    monkeypatch.setattr(module.linux, "probe", lambda: here)
    assert probe("6.12.95").absent["identity"] == "It takes root."


def test_what_this_kernel_can_do(control, monkeypatch):
    monkeypatch.setattr(module, "find_family", lambda name: Family(30, 17))
    *facts, (_, fault), (kind, _) = Ksmbd("6.12.107", control).describe()
    assert facts == [
        ("kernel", "6.12.107"),
        ("module", "loaded, state running, maxattr 17"),
        ("groups", "all of a user"),
        ("Kerberos", "with server.kerberos_keytab, if this kernel was built with SMB_SERVER_KERBEROS5"),
        ("fault", "ksmbd of Linux 6.12.107 crashes the kernel when it grants leases; set server.leases = false"),
    ]
    assert kind == "fault"
    assert "takes requests that are not signed" in fault
    monkeypatch.setattr(module, "find_family", lambda name: Family(30, 15))
    assert ("groups", "a user's primary one only") in Ksmbd("6.12.95", control).describe()


def test_a_module_that_is_not_loaded_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_module", lambda: pytest.fail("loaded"))
    assert ("module", "not loaded; `smbport serve` loads it") in Ksmbd("7.3.4", Control(str(tmp_path))).describe()


def test_a_module_that_does_not_answer(control, monkeypatch):
    monkeypatch.setattr(module, "find_family", lambda name: None)
    with pytest.raises(KernelError, match="loaded but does not answer"):
        Ksmbd("7.3.4", control).describe()


def test_status(control):
    assert Ksmbd("7.3.4", control).status()[0] == "state: running, port 445"


def test_rights_are_looked_at_first(control, monkeypatch):
    ksmbd = Ksmbd("7.3.4", control)
    monkeypatch.setattr(module, "why_not_allowed", lambda: "run it as root")
    with pytest.raises(KernelError, match="cannot drive ksmbd: run it as root"):
        ksmbd.check()
    monkeypatch.setattr(module, "why_not_allowed", lambda: None)
    ksmbd.check()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(KernelError, match="may not stop it again"):
        ksmbd.check()


def test_the_module_is_loaded(tmp_path, monkeypatch):
    control = Control(str(tmp_path))

    def load_module():
        control.directory.mkdir(parents=True)
        (control.directory / "kill_server").touch()

    monkeypatch.setattr(module, "why_not_allowed", lambda: None)
    monkeypatch.setattr(module, "load_module", load_module)
    Ksmbd("7.3.4", control).check()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"name": "ü" * 32}, ["name"]),
        ({"name": "x" * 63}, []),
        ({"uid": 65535, "gid": 1}, ["run_as"]),
        ({"uid": 1, "gid": 65535}, ["run_as"]),
        ({"gid": 65535}, ["force_group"]),
        ({"uid": 65534, "gid": 65534}, []),
        ({"uid": 1, "gid": 1, "groups": (2,)}, ["run_as"]),
        ({"uid": 0, "gid": 0, "groups": (2,)}, []),
        ({"path": "/none of this name"}, ["path"]),
        ({"file_mask": 0o644, "directory_mask": 0o755}, []),
        ({"file_mask": 0o664, "forced_file_mode": 0o002}, ["create_mask", "force_mode"]),
        ({"directory_mask": 0o775, "forced_directory_mode": 0o2020}, ["directory_mask", "force_directory_mode"]),
    ],
)
def test_shares(control, monkeypatch, changes, expected):
    monkeypatch.setattr(module, "_is_same", lambda path: path == "/")
    monkeypatch.setattr(module, "find_umask", lambda: 0o022)
    share = KernelShare(**{"name": "data", "path": "/", **changes})
    assert [key for key, _ in Ksmbd("7.3.4", control).share_problems(share)] == expected


def test_what_process_1_sees(tmp_path):
    assert not module._is_same(str(tmp_path / "none"))
    if os.access("/proc/1/root/", os.X_OK):
        assert module._is_same("/")
        assert not module._is_same("/proc/self/fd")
