"""smbport_linux.ksmbd.control: files of the kernel, made by hand."""

import subprocess
from types import SimpleNamespace

import pytest

from smbport.kernel import KernelError
from smbport_linux.ksmbd import control as module
from smbport_linux.ksmbd.control import Control, find_module, find_umask, load_module, why_not_allowed

ROOT_STATUS = "Name:\tx\nCapEff:\t000001ffffffffff\n"
USER, PID = 0xEFFFFFFD, 0xEFFFFFFC


@pytest.fixture
def loaded(tmp_path):
    directory = tmp_path / "sys/class/ksmbd-control"
    directory.mkdir(parents=True)
    (directory / "stats").write_text("2 startup 0 0\n")
    (directory / "kill_server").touch()
    return tmp_path


def test_states(loaded, tmp_path):
    control = Control(str(loaded))
    assert control.state() == ("startup", 0)
    (control.directory / "stats").write_text("2 running 445 17179590\n")
    assert control.state() == ("running", 445)
    assert Control(str(tmp_path / "none")).state() == ("absent", 0)


@pytest.mark.parametrize("text", ["", "2", "2 running", "2 running x 0"])
def test_a_state_that_cannot_be_understood(loaded, text):
    control = Control(str(loaded))
    (control.directory / "stats").write_text(text)
    with pytest.raises(KernelError, match="cannot be understood"):
        control.state()


def test_stopping(loaded):
    control = Control(str(loaded))
    control.stop()
    assert (control.directory / "kill_server").read_text() == "hard"


def test_status_of_kernels_that_show_nothing(loaded):
    assert Control(str(loaded)).status()[0] == "state: startup"
    assert "shows no more" in Control(str(loaded)).status()[1]


def test_status(loaded):
    control = Control(str(loaded))
    (control.directory / "stats").write_text("2 running 445 17179590\n")
    (control.proc / "sessions").mkdir(parents=True)
    (control.proc / "sessions/sessions").write_text("10.0.2.2 tester\n")
    (control.proc / "shares").write_text("share 1\n")
    (control.proc / "files").write_bytes(b"\xff\n")
    assert control.status() == [
        "state: running, port 445",
        "", "sessions:", "  10.0.2.2 tester",
        "", "shares:", "  share 1",
        "", "files:", "  \ufffd",
    ]  # fmt: skip


def test_modules(tmp_path, loaded):
    elsewhere = tmp_path / "elsewhere"
    modules = elsewhere / "lib/modules/1.2"
    modules.mkdir(parents=True)
    assert find_module("1.2", str(loaded))
    assert not find_module("1.2", str(elsewhere))
    (modules / "modules.dep").write_text("kernel/a.ko: kernel/fs/smb/server/ksmbd.ko.xz\n")
    assert not find_module("1.2", str(elsewhere))
    (modules / "modules.dep").write_text("kernel/fs/smb/server/ksmbd.ko.xz: kernel/a.ko\n")
    assert find_module("1.2", str(elsewhere))
    (modules / "modules.dep").unlink()
    (modules / "modules.builtin").write_text("kernel/fs/smb/server/ksmbd.ko\n")
    assert find_module("1.2", str(elsewhere))


def test_loading(monkeypatch):
    ran = []

    def run(command, **_):
        ran.append(command)
        return SimpleNamespace(returncode=len(ran) - 1, stderr="Operation not permitted\n")

    monkeypatch.setattr(module.shutil, "which", lambda name, path: f"/sbin/{name}")
    monkeypatch.setattr(module.subprocess, "run", run)
    load_module()
    assert ran == [["/sbin/modprobe", "ksmbd"]]
    with pytest.raises(KernelError, match="cannot be loaded: Operation not permitted"):
        load_module()


def test_loading_without_end(monkeypatch):
    def run(command, **_):
        raise subprocess.TimeoutExpired(command, 60)

    monkeypatch.setattr(module.shutil, "which", lambda name, path: "/sbin/modprobe")
    monkeypatch.setattr(module.subprocess, "run", run)
    with pytest.raises(KernelError, match="more than 60 s"):
        load_module()


def test_loading_without_a_loader(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name, path: None)
    with pytest.raises(KernelError, match="no modprobe"):
        load_module()


@pytest.mark.parametrize(
    ("status", "namespaces", "said"),
    [
        (ROOT_STATUS, {}, None),
        ("CapEff:\t0000000000000000\n", {}, "lacks the capability NET_ADMIN"),
        ("CapEff:\t0000000000001000\n", {}, None),
        (ROOT_STATUS, {("self", "user"): 1}, "initial user namespace"),
        (ROOT_STATUS, {("self", "pid"): 1}, "cannot be seen from here"),
        (ROOT_STATUS, {("self", "net"): 1}, "initial network namespace only"),
    ],
)
def test_who_may(tmp_path, monkeypatch, status, namespaces, said):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text(status)
    initial = {"user": USER, "pid": PID, "net": 77}
    monkeypatch.setattr(module, "_namespace", lambda root, who, kind: namespaces.get((who, kind), initial[kind]))
    problem = why_not_allowed(str(tmp_path))
    assert problem is None if said is None else said in problem


@pytest.mark.parametrize(("status", "umask"), [("Name:\tkthreadd\nUmask:\t0022\n", 0o022), ("Name:\tkthreadd\n", 0)])
def test_the_umask_of_the_threads_of_the_kernel(tmp_path, status, umask):
    (tmp_path / "proc/2").mkdir(parents=True)
    (tmp_path / "proc/2/status").write_text(status)
    assert find_umask(str(tmp_path)) == umask


def test_process_1_is_not_to_be_seen(tmp_path, monkeypatch):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text(ROOT_STATUS)

    def namespace(root, who, kind):
        if who == "1":
            raise PermissionError
        return {"user": USER, "pid": PID, "net": 77}[kind]

    monkeypatch.setattr(module, "_namespace", namespace)
    assert "cannot be seen from here" in why_not_allowed(str(tmp_path))


def test_this_process():
    assert why_not_allowed() is None or "; run " in why_not_allowed()
