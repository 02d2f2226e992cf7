"""smbport_qnx.calls, by way of ctypes, in a C library with QNX's prototypes and structures."""

import ctypes
import errno
import os
import struct

import pytest

from smbport_qnx import calls as module
from smbport_qnx.calls import IN_CREATE, IN_ONLYDIR, PROTOTYPES, STRUCTURES, Calls, load_libraries


class Layout(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("offset", ctypes.c_size_t))


def test_structures_are_laid_out_as_in_c(library):
    rows = (Layout * 64).in_dll(library, "layouts")
    seen = set()
    for row in rows:
        if row.name is None:
            break
        name, _, field = row.name.decode().partition(".")
        fields = STRUCTURES[name]
        assert (getattr(fields, field).offset if field else ctypes.sizeof(fields)) == row.offset, row.name
        seen.add(name)
    assert seen == {"statvfs", "ifaddrs"}


def test_every_function_is_called_here(library):
    assert all(hasattr(library, name) for name in PROTOTYPES)


def test_the_file_system(library, calls, tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert calls.file_system(fd) == "qnx6"
        (ctypes.c_char * 16).in_dll(library, "base_type").value = b"dos"
        assert calls.file_system(fd) == "dos"
        ctypes.c_int.in_dll(library, "lies").value = 1
        assert calls.file_system(fd) == ""
    finally:
        os.close(fd)
    with pytest.raises(OSError, match=f"Errno {errno.EBADF}]"):
        calls.file_system(fd)


def test_inotify(library, calls, tmp_path):
    fd = calls.inotify_init()
    try:
        assert not os.get_inheritable(fd)
        assert not os.get_blocking(fd)
        watch = calls.inotify_add_watch(fd, bytes(tmp_path), IN_CREATE | IN_ONLYDIR)
        assert ctypes.c_int.in_dll(library, "last_mask").value == 0x01000100
        (tmp_path / "file").touch()
        assert struct.unpack_from("iIII5s", os.read(fd, 4096)) == (watch, IN_CREATE, 0, 16, b"file\0")
        (tmp_path / "plain").touch()
        with pytest.raises(NotADirectoryError):
            calls.inotify_add_watch(fd, bytes(tmp_path / "plain"), IN_CREATE | IN_ONLYDIR)
        calls.inotify_remove_watch(fd, watch)
        calls.inotify_remove_watch(fd, watch)
    finally:
        os.close(fd)


def test_addresses(library, calls):
    assert calls.interface_addresses() == [
        ("lo0", 9, "127.0.0.1"),
        ("vtnet0", 1, "192.0.2.7"),
        ("vtnet0", 1, "2001:db8::7"),
        ("vtnet0", 1, "fe80::1"),
        ("vtnet1", 0, "192.0.2.9"),
    ]
    assert ctypes.c_int.in_dll(library, "lists_given").value == 0


def test_interrupted_calls_are_made_again(calls, monkeypatch):
    answers = [errno.EINTR, errno.EINTR, 0]

    def interrupted():
        ctypes.set_errno(answers[0])
        return -1 if answers.pop(0) else 7

    monkeypatch.setitem(calls._functions, "inotify_init", interrupted)
    assert calls._call("inotify_init") == 7


def test_what_no_library_has(tmp_path):
    calls = Calls([])
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for call in (calls.inotify_init, calls.interface_addresses, lambda: calls.file_system(fd)):
            with pytest.raises(OSError, match=f"Errno {errno.ENOSYS}]"):
                call()
    finally:
        os.close(fd)


def test_libraries_that_are_missing_are_left_out(stand_in):
    assert [library._name for library in load_libraries((stand_in, "libno.such.so.1"))] == [stand_in]
    assert module.LIBRARIES[0] is None
