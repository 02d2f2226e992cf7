"""smbport.posix.poll_loop: what trio asks of a kqueue, and trio's own tests of sockets on top of it."""

import re
import select
import socket
import subprocess
import sys
import textwrap
from errno import EBADF, ENOENT

import pytest

from smbport.posix import poll_loop
from smbport.posix.poll_loop import (
    EV_ADD,
    EV_DELETE,
    EV_EOF,
    EV_ONESHOT,
    FILTER_READ,
    FILTER_WRITE,
    PollEvent,
    PollQueue,
    has_event_loop,
)

INSTALLED = """
import select, selectors, sys, sysconfig
from smbport.posix import poll_loop
poll_loop.install()
sysconfig.get_config_vars()  # whose file is named after the real system
sys.platform = "other"
"""


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        yield here, there


@pytest.fixture
def queue():
    queue = PollQueue()
    yield queue
    queue.close()


def told(events):
    return [(event.ident, event.filter, event.flags) for event in events]


def test_one_shot(queue, pair):
    here, there = pair
    flags = EV_ADD | EV_ONESHOT
    assert queue.control([PollEvent(here, FILTER_READ, flags), PollEvent(here, FILTER_WRITE, flags)], 0) == []
    assert told(queue.control(None, 9, 0)) == [(here.fileno(), FILTER_WRITE, EV_ONESHOT)]
    assert queue.control(None, 9, 0) == []
    there.send(b"x")
    assert told(queue.control([], 9, None)) == [(here.fileno(), FILTER_READ, EV_ONESHOT)]
    assert queue.control([], 9, 0) == []


def test_what_stays_is_told_until_it_is_over(queue, pair):
    here, there = pair
    queue.control([PollEvent(here)], 0)
    there.send(b"x")
    for _ in range(2):
        assert told(queue.control([], 9, 0)) == [(here.fileno(), FILTER_READ, 0)]
    here.recv(1)
    assert queue.control([], 9, 0) == []


def test_no_more_than_asked_for(queue, pair):
    here, there = pair
    there.send(b"x")
    changes = [PollEvent(here, filter, EV_ADD | EV_ONESHOT) for filter in (FILTER_READ, FILTER_WRITE)]
    first = queue.control(changes, 1, 0)
    second = queue.control([], 1, 0)
    assert {event.filter for event in first + second} == {FILTER_READ, FILTER_WRITE}
    assert len(first) == len(second) == 1


def test_the_end_wakes_readers_and_writers(queue, pair):
    here, there = pair
    queue.control([PollEvent(here, FILTER_READ), PollEvent(here, FILTER_WRITE)], 0)
    there.close()
    assert told(queue.control([], 9, 0)) == [
        (here.fileno(), FILTER_READ, EV_EOF),
        (here.fileno(), FILTER_WRITE, EV_EOF),
    ]


def test_deleting(queue, pair):
    here, there = pair
    queue.control([PollEvent(here, FILTER_READ), PollEvent(here, FILTER_WRITE)], 0)
    queue.control([PollEvent(here, FILTER_WRITE, EV_DELETE)], 0)
    there.send(b"x")
    assert told(queue.control([], 9, 0)) == [(here.fileno(), FILTER_READ, 0)]
    queue.control([PollEvent(here, FILTER_READ, EV_DELETE)], 0)
    assert queue.control([], 9, 0) == []
    with pytest.raises(FileNotFoundError) as refused:
        queue.control([PollEvent(here, FILTER_READ, EV_DELETE)], 0)
    assert refused.value.errno == ENOENT


def test_closed_descriptors(queue, pair):
    here, _ = pair
    queue.control([PollEvent(here)], 0)
    number = here.fileno()
    here.close()
    assert queue.control([], 9, 0) == []
    for flags, code in ((EV_ADD, EBADF), (EV_DELETE, ENOENT)):
        with pytest.raises(OSError, match=f"Errno {code}]"):
            queue.control([PollEvent(number, FILTER_READ, flags)], 0)


@pytest.mark.parametrize(("timeout", "wait_ms"), [(None, None), (0, 0), (0.0001, 1), (1.5, 1500), (1e300, 2**31 - 1)])
def test_time_outs_are_rounded_up(queue, monkeypatch, timeout, wait_ms):
    """Down, a loop would wake too early and come back at once, again and again."""
    waits = []

    class Poll:
        def poll(self, wait_ms):
            waits.append(wait_ms)
            return []

    monkeypatch.setattr(queue, "_poll", Poll())
    assert queue.control([], 9, timeout) == []
    assert waits == [wait_ms]


def test_one_bit_of_several_is_enough(queue, pair, monkeypatch):
    """QNX asks for POLLIN by two bits and tells one of them."""
    here, _ = pair
    monkeypatch.setitem(poll_loop.ASKS, FILTER_READ, 5)
    queue.control([PollEvent(here)], 0)

    class Poll:
        def poll(self, wait_ms):
            return [(here.fileno(), 1)]

    monkeypatch.setattr(queue, "_poll", Poll())
    assert told(queue.control([], 9, 0)) == [(here.fileno(), FILTER_READ, 0)]


def test_a_real_kqueue_stays(monkeypatch):
    monkeypatch.setattr(select, "kqueue", "the real one", raising=False)
    poll_loop.install()
    assert select.kqueue == "the real one"
    assert has_event_loop()


def run_installed(script):
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED + textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_installing():
    run_installed("""
        assert poll_loop.has_event_loop() and not hasattr(select, "epoll")
        selectors.DefaultSelector().close()
        import trio

        async def main():
            assert trio.lowlevel.current_statistics().io_statistics.backend == "kqueue"
            assert await trio.to_thread.run_sync(lambda: 5) == 5
            return 7

        assert trio.run(main) == 7
    """)


def test_trios_own_tests(tmp_path):
    """Of sockets, pipes and threads; a few are left out by trio itself where there is no epoll."""
    modules = [
        "trio._core._tests.test_io", "trio._tests.test_socket", "trio._tests.test_highlevel_socket",
        "trio._tests.test_unix_pipes", "trio._tests.test_highlevel_open_tcp_stream", "trio._tests.test_threads",
    ]  # fmt: skip
    out = run_installed(f"""
        import os, pytest, signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs this in the background ignores it
        os.chdir({str(tmp_path)!r})
        plugins = ["no:cacheprovider", "no:trio", "no:hypothesispytest", "trio._tests.pytest_plugin"]
        options = [part for plugin in plugins for part in ("-p", plugin)]
        sys.exit(pytest.main(["-q", "-W", "ignore", *options, "--pyargs", *{modules!r}]))
    """)
    assert int(re.search(r"(\d+) passed", out)[1]) > 100
