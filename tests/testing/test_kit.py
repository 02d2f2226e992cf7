"""The exam finds what is broken: each planted fault makes the right check fail, for the right reason."""

import dataclasses
import errno
import itertools
import os
import re
import socket
import threading
from contextlib import contextmanager, nullcontext, suppress

import pytest

from smbport.platform import POWERS, Account, Entry, Interface, Kind, WatchChange
from smbport.testing.calls import wrap
from smbport.testing.compression import MemoryCompression
from smbport.testing.faults import Faults
from smbport.testing.kit import CHECKS, NotExamined, examine
from smbport.testing.memory import MemoryPlatform
from smbport.testing.readonly import read_only

NOBODY = Account("nobody", 65534, 65534)


def make_platform():
    return MemoryPlatform(accounts=[NOBODY])


def planted(path, act):
    """A platform on which `act(call)` is in the place of every call of that path, or of those paths."""
    return wrap(make_platform(), lambda call: act(call) if call.path in path.split() else call.proceed())


def altered(**facts):
    """A platform whose volumes claim other facts."""
    return wrap(
        make_platform(),
        lambda call: call.proceed(),
        alter_features=lambda features: dataclasses.replace(features, **facts),
    )


def with_power(name, power):
    """A platform with a power of ours, and files that have a descriptor, it seems."""
    platform = make_platform()
    setattr(platform, name, power)
    platform.absent = {key: value for key, value in platform.absent.items() if key != name}
    return wrap(platform, lambda call: 0 if call.path == "File.fileno" else call.proceed())


def error(code):
    return OSError(code, os.strerror(code))


def raising(reason):
    def act(call):
        raise reason

    return act


def only_for(name, act):
    """The fault, if the path ends with `name`."""
    return lambda call: act(call) if call.arguments["path"].endswith(name) else call.proceed()


def done_but_blocked(call):
    """Do the work inline, and claim not to have."""
    result = call.proceed()
    if call.arguments["wait"]:
        return result
    if hasattr(result, "close"):
        result.close()
    raise error(errno.EAGAIN)


def changed(**changes):
    """The call with other arguments; a function is given the old one."""

    def act(call):
        now = {key: new(call.arguments[key]) if callable(new) else new for key, new in changes.items()}
        return call.replace(**now).proceed()

    return act


def result(alter):
    """The call with another result."""
    return lambda call: alter(call.proceed())


def nothing(call):
    return None


# What broken ports do.


def open_taken(call):
    """create that opens what is there."""
    try:
        return call.proceed()
    except FileExistsError:
        return call.target.open(call.arguments["path"], call.arguments["access"])


def rename_by_copying(call):
    """rename that makes a new file."""
    old, new = call.arguments["old"], call.arguments["new"]
    source = call.target.open(old, 3)
    call.target.create(new, 3, 0o644).write_at(0, source.read_at(0, 1000))
    call.target.remove(old, source.stat().key)


def rename_in_two_steps(call):
    """A rename without replacing that looks first and leaps later."""
    if call.arguments["replace"]:
        return call.proceed()
    new = call.arguments["new"]
    try:
        call.target.stat(new, follow=False)
    except FileNotFoundError:
        if "prize" in new and not meeting.broken:
            meeting.wait()
        return call.replace(replace=True).proceed()
    raise error(errno.EEXIST) from None


meeting = threading.Barrier(4, timeout=60)


def link_by_copying(call):
    source = call.target.open(call.arguments["old"], 1)
    target = call.target.create(call.arguments["new"], 3, 0o644)
    target.write_at(0, source.read_at(0, 1000))


def remove_any(call):
    """remove that does not look at the key."""
    stat = call.target.stat(call.arguments["path"], follow=False)
    return call.replace(key=stat.key).proceed()


def remove_target(call):
    """remove that follows links."""
    target = call.arguments["path"].replace("link", "target")
    return call.replace(path=target, key=call.target.stat(target).key).proceed()


def remove_nothing(call):
    """remove that finds out what it has to, and no more."""
    if call.target.stat(call.arguments["path"], follow=False).key != call.arguments["key"]:
        raise error(errno.ENOENT)


def remove_tree(call):
    """remove that takes full directories."""
    try:
        return call.proceed()
    except OSError as reason:
        if reason.errno != errno.ENOTEMPTY:
            raise
        path = call.arguments["path"]
        for entry in call.target.open(path, 1).entries(1000):
            call.target.remove(f"{path}/{entry.name}", entry.stat.key)
        return call.proceed()


def instead_of(code, other):
    """The call with errno `other` in the place of `code`."""

    def act(call):
        try:
            return call.proceed()
        except OSError as reason:
            raise error(other if reason.errno == code else reason.errno) from None

    return act


def clean_path(call):
    """open that takes any path for one inside."""
    parts = [part for part in call.arguments["path"].split("/") if part not in ("", ".", "..")]
    return call.replace(path="/".join(parts)).proceed()


def create_through_link(call):
    """create that makes the target of a dangling link."""
    path = call.arguments["path"]
    if path.endswith("dangling"):
        return call.replace(path=path.replace("dangling", "nothing")).proceed()
    return call.proceed()


def without_link_states(call):
    return [Entry(name, stat if stat is None or stat.kind != Kind.SYMLINK else None) for name, stat in call.proceed()]


def with_link_states(call):
    """Listing that shows links themselves; the tests' links are those that are not called otherwise."""
    links = ("short", "detour", "way")
    return [
        Entry(name, dataclasses.replace(stat, kind=Kind.SYMLINK, key=(0, 0)) if name in links and stat else stat)
        for name, stat in call.proceed()
    ]


def forget_what_is_far(call):
    return call.arguments["offset"] > 1 << 40 or call.proceed()


def write_sparsely(call):
    """write_at that fills holes with rubbish."""
    offset = call.arguments["offset"]
    size = call.target.stat().size
    if offset > size and len(call.arguments["data"]):
        call.target.write_at(size, b"?" * (offset - size))
    return call.proceed()


def resize_leaving_data(call):
    """resize to less that keeps the old bytes for later."""
    size = call.arguments["size"]
    old = call.target.read_at(size, 10000)
    resized.append(old)
    call.proceed()
    if size > 100:
        call.target.write_at(3, resized[0][: size - 3])


resized = []


def allocate_resizing(call):
    call.proceed()
    call.target.resize(call.arguments["size"])


def write_without_access(call):
    """open that gives more than was asked for."""
    return call.replace(access=3).proceed()


def listing_dots(call):
    return [Entry(".", None), *call.proceed()]


def endless(call):
    return call.proceed() or [Entry("again", None)]


def set_all_times(call):
    access_ns, write_ns = call.arguments["access_ns"], call.arguments["write_ns"]
    return call.replace(access_ns=access_ns or 0, write_ns=write_ns or 0).proceed()


def forget_marks(call):
    return call.replace(dos_attributes=call.arguments["dos_attributes"] or 0).proceed()


def forget_more_than_marks(call):
    stat = call.proceed()
    return stat if call.arguments["marks"] else dataclasses.replace(stat, change_ns=0)


def seen_before_only(call):
    witness = call.arguments["witness"]
    if witness is not None:
        witness.after = lambda directory: None
    return call.proceed()


def entries_lost_when_blocked(call):
    """entries that goes on although it says it has not."""
    result = call.proceed()
    if call.arguments["limit"] == 1 and not call.arguments["wait"]:
        raise error(errno.EAGAIN)
    return result


def wrong_in_threads(call):
    data = call.proceed()
    return data if threading.current_thread() is threading.main_thread() else bytes(len(data))


def zero(call):
    """punch that writes zeroes."""
    file, offset, length = (call.arguments[key] for key in ("file", "offset", "length"))
    length = min(length, file.stat().size - offset)
    file.write_at(offset, bytes(length))


def zero_and_grow(call):
    call.proceed()
    call.arguments["file"].resize(5 << 20)


def linked_though_taken(call):
    with suppress(FileExistsError):
        call.proceed()


def read_anything(call):
    try:
        return call.proceed()
    except OSError as reason:
        if reason.errno != errno.EINVAL:
            raise
        return "file"


def overlapping_copied(call):
    try:
        return call.proceed()
    except OSError:
        return call.arguments["length"]


def reflinked_though_refused(call):
    try:
        call.proceed()
    except OSError:
        call.arguments["target"].write_at(0, b"half of it")
        raise


def reflinked_wrong(call):
    call.proceed()
    call.arguments["target"].write_at(0, b"half of it")


def uncompressed(stat):
    return dataclasses.replace(stat, compressed=False)


def spoil_what_is_compressed(call):
    """A compressor that loses a byte."""
    call.proceed()
    node = call.arguments["node"]
    if call.arguments["compressed"] and not node.is_directory:
        node.write_at(0, b"x")


def as_long_as_stored(stat):
    return dataclasses.replace(stat, size=stat.size // 2) if stat.compressed else stat


def made_uncompressed(call):
    """create that leaves the directory's state alone."""
    made = call.proceed()
    MemoryCompression().set(made, False)
    return made


def reach_below(call):
    """set that changes what is in a directory, too."""
    call.proceed()
    node = call.arguments["node"]
    for child in getattr(node.inode, "children", {}).values():
        child.compressed = call.arguments["compressed"]


def punch_whole_blocks(call):
    length = call.arguments["length"]
    return call.replace(length=-(-length // 4096) * 4096).proceed()


def block_again(sockets):
    for sock in sockets:
        sock.setblocking(True)
    return sockets


def close_all(sockets):
    for sock in sockets:
        sock.close()
    return []


def two_ports(call):
    return [*call.proceed(), *call.replace(port=0).proceed()] if call.arguments["host"] is None else call.proceed()


def deaf(call):
    """listen that only binds."""
    close_all(call.proceed())
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return [sock]


def interface(address, speed=0):
    return lambda call: [Interface(1, address, speed)]


# (check, what the exam must say, call, what it does instead)
SINGLE = [
    ("volume", "stat of what is not there", "Volume.stat", instead_of(errno.ENOENT, errno.EINVAL)),
    ("volume", "open of what is not there", "Volume.open", instead_of(errno.ENOENT, errno.EIO)),
    ("volume", "create on a taken name", "Volume.create", only_for("file", open_taken)),
    ("volume", "OSError, nothing else", "Volume.stat", raising(ValueError("embedded null byte"))),
    ("volume", "has a true errno", "Volume.stat", raising(OSError("no number"))),
    ("volume", "must never block", "File.stat", raising(BlockingIOError(errno.EAGAIN, "later"))),
    ("volume", "although wait was true", "Volume.space", raising(BlockingIOError(errno.EAGAIN, "later"))),
    ("volume", "close never raises", "File.close", raising(error(errno.EIO))),
    ("volume", "right after open", "File.first_stat", result(lambda stat: dataclasses.replace(stat, size=9))),
    ("volume", "different keys", "File.stat Volume.stat", result(lambda stat: dataclasses.replace(stat, key=(1, 1)))),
    ("volume", "ENXIO", "Volume.open", only_for("fifo", changed(access=0))),
    ("volume", "may remove it", "Volume.may_remove", result(lambda may: False)),
    ("volume", "block_size", "Volume.space", result(lambda space: space._replace(block_size=0))),
    ("volume", "available", "Volume.space", result(lambda space: space._replace(available=-1))),
    ("names", "listed as it was given", "Volume.create", changed(path=lambda path: path.replace("\u00fc", "u\u0308"))),
    ("names", "max_name_bytes", "Volume.stat", instead_of(errno.ENAMETOOLONG, errno.ENOENT)),
    ("names", "objects to is not done", "Volume.create", changed(witness=None)),
    ("names", "objects to is not done", "Volume.remove", changed(witness=None)),
    ("names", "before and after the change", "Volume.make_directory", seen_before_only),
    ("renaming", "onto a taken name", "Volume.rename", changed(replace=True)),
    ("renaming", "Volume.rename raised EEXIST where", "Volume.rename", changed(replace=False)),
    ("renaming", "keeps its key", "Volume.rename", rename_by_copying),
    ("renaming", "exactly one succeeds", "Volume.rename", rename_in_two_steps),
    ("renaming", "a second name", "Volume.link", link_by_copying),
    ("renaming", "no second names|have one name", "Volume.link", raising(error(errno.EIO))),
    ("removing", "something else than `key`", "Volume.remove", remove_any),
    ("removing", "takes a symbolic link away", "Volume.remove", only_for("link", remove_target)),
    ("removing", "not empty", "Volume.remove", remove_tree),
    ("removing", "takes the name away", "Volume.remove", remove_nothing),
    ("containment", "never leaves the volume", "Volume.stat", clean_path),
    ("containment", "EXDEV", "Volume.open", instead_of(errno.EXDEV, errno.ENOENT)),
    ("containment", "ELOOP", "Volume.stat", instead_of(errno.ELOOP, errno.ENOENT)),
    ("containment", "dangling", "Volume.create", create_through_link),
    ("containment", "state of the link itself", "Directory.entries", without_link_states),
    ("containment", "state of its target", "Directory.entries", with_link_states),
    ("containment", "about the symbolic link itself", "Volume.stat", changed(follow=True)),
    ("files", "whatever the length", "File.read_at", changed(length=lambda length: min(length, 1 << 20))),
    ("files", "only at the end", "File.read_at", result(lambda data: data or b"\0")),
    ("files", "returns len", "File.write_at", result(lambda count: None)),
    ("files", "reads as zeroes", "File.write_at", write_sparsely),
    ("files", "new part reads as zeroes", "File.resize", resize_leaving_data),
    ("files", "neither size nor data", "File.allocate", allocate_resizing),
    ("files", "not enough room", "File.allocate", nothing),
    ("files", "ACCESS_WRITE does not write", "Volume.open", write_without_access),
    ("files", "whatever the mode", "Volume.create", only_for("for-me", changed(access=0))),
    ("files", "more rights", "Volume.create", changed(mode=0o777)),
    ("files", "set_mode sets", "File.set_mode", nothing),
    ("files", "what is None", "File.set_owner", changed(uid=7)),
    ("directories", "neither", "Directory.entries", listing_dots),
    ("directories", "at most `limit`", "Directory.entries", changed(limit=1000)),
    ("names", "has no end", "Directory.entries", endless),
    ("directories", "every name once", "Directory.rewind", nothing),
    ("directories", "without `stat`", "Directory.entries", changed(stat=True)),
    ("directories", "the state that Volume.stat gives", "Directory.entries", changed(stat=False)),
    ("times", "sets both", "File.set_times", nothing),
    ("times", "without marks", "Volume.stat", forget_more_than_marks),
    ("times", "what is None", "File.set_times", set_all_times),
    ("times", "set the write time", "File.write_at", nothing),
    ("times", "stores what stat gives back", "File.set_marks", nothing),
    ("times", "keeps what is None", "Directory.set_marks", forget_marks),
    ("times", "listing gives the marks", "Directory.entries", changed(stat=False)),
    ("blocking", "create: .* changes nothing", "Volume.create", done_but_blocked),
    ("blocking", "make_directory: .* nothing", "Volume.make_directory", only_for("/directory", done_but_blocked)),
    ("blocking", "rename: .* changes nothing", "Volume.rename", done_but_blocked),
    ("blocking", "remove: .* changes nothing", "Volume.remove", done_but_blocked),
    ("blocking", "write_at: .* changes nothing", "File.write_at", done_but_blocked),
    ("blocking", "resize: .* changes nothing", "File.resize", done_but_blocked),
    ("blocking", "set_mode: .* changes nothing", "File.set_mode", done_but_blocked),
    ("blocking", "set_times: .* changes nothing", "File.set_times", done_but_blocked),
    ("blocking", "entries: .* changes nothing", "Directory.entries", entries_lost_when_blocked),
    ("blocking", "has done its work", "Volume.remove", nothing),
    ("threads", "do not mix", "File.read_at", wrong_in_threads),
    ("attributes", "who knows", "Attributes.names", lambda call: [] if call.arguments["seen"] else call.proceed()),
    ("attributes", "that is not there is None", "Attributes.get", result(lambda value: value or b"")),
    ("attributes", "not there is FileNotFoundError", "Attributes.remove", nothing),
    ("attributes", "without a namespace", "Attributes.names", result(lambda names: ["user." + name for name in names])),
    ("attributes", "max_value", "Attributes.set", changed(value=lambda value: value[:1000])),
    ("attributes", "set made or replaced", "Attributes.set", changed(value=lambda value: value[:10])),
    ("clone", "all is copied", "Clone.copy", result(lambda count: 0)),
    ("clone", "data of the source", "Clone.copy", lambda call: call.arguments["length"]),
    ("clone", "how many bytes", "Clone.copy", result(lambda count: count + 1)),
    ("clone", "reads and writes at its offsets", "Clone.copy", changed(target_offset=lambda offset: offset // 2)),
    ("links", "is followed", "Volume.symlink", changed(target="other")),
    ("links", "whatever it is", "Volume.read_link", result(lambda target: target.rstrip("/"))),
    ("links", "be it by a dangling link", "Volume.symlink", linked_though_taken),
    ("links", "no link is OSError", "Volume.read_link", read_anything),
    ("clone", "overlap", "Clone.copy", overlapping_copied),
    ("clone", "no whole blocks", "Clone.reflink", nothing),
    ("clone", "refused changes nothing", "Clone.reflink", reflinked_though_refused),
    ("clone", "reflink gives the target", "Clone.reflink", reflinked_wrong),
    ("sparse", "more than `limit`", "Sparse.data_ranges", changed(limit=100)),
    ("sparse", "zero makes the range", "Sparse.zero", changed(length=lambda length: length - 1)),
    ("sparse", "or changes nothing", "Sparse.zero", zero_and_grow),
    ("sparse", "read as zeroes", "Sparse.punch", nothing),
    ("sparse", "keeps to the range", "Sparse.punch", punch_whole_blocks),
    ("sparse", "blocks of the range back", "Sparse.punch", zero),
    ("sparse", "nothing but zeroes", "Sparse.data_ranges", result(lambda ranges: ranges[:-1])),
    ("sparse", "in order", "Sparse.data_ranges", result(lambda ranges: ranges * 2)),
    ("sparse", "inside of the range", "Sparse.data_ranges", lambda call: [(call.arguments["offset"], 1 << 40)]),
    ("compression", "stat of the node says", "Compression.set", nothing),
    ("compression", "stat of the node says", "Compression.set", changed(compressed=True)),
    ("compression", "Volume.stat says", "Volume.stat", result(uncompressed)),
    ("compression", "a listing says", "Directory.entries", changed(stat=False)),
    ("compression", "what was written", "Compression.set", spoil_what_is_compressed),
    ("compression", "that of its data", "File.stat", result(as_long_as_stored)),
    ("compression", "begins as the directory is", "Volume.create", made_uncompressed),
    ("compression", "stays as it is", "Compression.set", reach_below),
    ("range_locks", "grants what nobody holds", "RangeLocks.lock", lambda call: False),
    ("range_locks", "another has locked exclusively", "RangeLocks.lock", lambda call: True),
    ("range_locks", "another has locked exclusively", "RangeLocks.lock", changed(exclusive=False)),
    ("range_locks", "handles share", "RangeLocks.lock", changed(exclusive=True)),
    ("range_locks", "only touch", "RangeLocks.lock", changed(length=lambda length: length + 1)),
    ("range_locks", "releases the bytes", "RangeLocks.unlock", nothing),
    ("range_locks", "releases no other bytes", "RangeLocks.unlock", changed(length=lambda length: 10 * length)),
    ("range_locks", "behind the end of the file", "RangeLocks.lock", forget_what_is_far),
    ("range_locks", "close releases", "File.close", nothing),
    ("identity", "belongs to it|no other rights", "Volume.acting_as", lambda call: call.target),
    ("identity", "None if there is none", "Identity.find_account", lambda call: NOBODY),
    ("identity", "None if there is none", "Identity.find_group", lambda call: 1),
    ("identity", "finds the account", "Identity.find_account", nothing),
    ("identity", "rights of the account", "Volume.may_remove", result(lambda may: True)),
    ("sockets", "non-blocking", "Sockets.listen", result(block_again)),
    ("sockets", "each address", "Sockets.listen", result(close_all)),
    ("sockets", "same free port", "Sockets.listen", two_ports),
    ("sockets", "listening sockets", "Sockets.listen", deaf),
    ("sockets", "EADDRINUSE", "Sockets.listen", changed(port=0)),
    ("sockets", "gives sockets", "Sockets.inherited", lambda call: [3]),
    ("sockets", "a tuned socket works", "Sockets.tune", lambda call: call.arguments["sock"].shutdown(socket.SHUT_WR)),
    ("sockets", "IPv4 or IPv6", "Sockets.interfaces", interface("eth0", 0)),
    ("sockets", "no scope", "Sockets.interfaces", interface("fe80::1%eth0", 0)),
    ("sockets", "loopback", "Sockets.interfaces", interface("::1", 0)),
    ("sockets", "speed", "Sockets.interfaces", interface("192.0.2.1", -1)),
]


@pytest.mark.parametrize(
    ("check", "says", "path", "act"), SINGLE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_broken_call_is_found(tmp_path, check, says, path, act):
    (finding,) = examine(planted(path, act), str(tmp_path), [check]).findings
    assert finding.outcome == "failed", finding
    assert re.search(says, finding.detail), finding


CLAIMS = [
    ("honesty", "file_system", {"file_system": ""}),
    ("honesty", "64 bits", {"serial": 1 << 64}),
    ("honesty", "max_name_bytes", {"max_name_bytes": 0}),
    ("names", "whatever the case", {"case_sensitive": False}),
    ("names", "ENAMETOOLONG", {"max_name_bytes": 100}),
    ("times", "ENOTSUP", {"stores_marks": False}),
    ("compression", "is OSError(EOPNOTSUPP)", {"compression": False}),
    ("read_only", "EROFS", {"read_only": True}),
]


@pytest.mark.parametrize(("check", "says", "facts"), CLAIMS)
def test_a_false_fact_is_found(tmp_path, check, says, facts):
    (finding,) = examine(altered(**facts), str(tmp_path), [check]).findings
    assert (finding.outcome, says in finding.detail) == ("failed", True), finding


def test_a_birth_time_that_follows_the_others_is_found(tmp_path):
    def act(call):
        stat = call.proceed()
        return dataclasses.replace(stat, birth_ns=min(stat.access_ns, stat.write_ns, stat.change_ns))

    (finding,) = examine(planted("File.stat", act), str(tmp_path), ["honesty"]).findings
    assert (finding.outcome, "birth_time" in finding.detail) == ("failed", True), finding


POWER_CLAIMS = [
    ("why zero_copy is None", lambda platform: platform.absent.pop("zero_copy")),
    ("why zero_copy is None", lambda platform: platform.absent.update(zero_copy=" ")),
    ("clone is there", lambda platform: platform.absent.update(clone="who knows")),
    ("only, not flying", lambda platform: platform.absent.update(flying="no wings")),
    ("no interface", lambda platform: setattr(platform, "leases", object())),
    ("name is not empty", lambda platform: setattr(platform, "name", "")),
    ("Account", lambda platform: setattr(platform, "account", "root")),
]


@pytest.mark.parametrize(("says", "lie"), POWER_CLAIMS)
def test_a_false_claim_about_powers_is_found(tmp_path, says, lie):
    platform = make_platform()
    platform.absent = dict(platform.absent)
    lie(platform)
    (finding,) = examine(platform, str(tmp_path), ["honesty"]).findings
    assert (finding.outcome, says in finding.detail) == ("failed", True), finding


class CopyingSender:
    """What zero copy does, done by copying; `spoil` changes the data, `count` the answer."""

    min_length = 0
    needs_cached = True

    def __init__(self, spoil=lambda data: data, count=lambda sent: sent):
        self.spoil = spoil
        self.count = count

    def send(self, sock, head, file, offset, length):
        data = bytes(head) + file.read_at(offset, length)
        return self.count(sock.send(self.spoil(data[:50_000])))


ZERO_COPY = [
    ("", CopyingSender()),
    ("sends the head, then the bytes", CopyingSender(spoil=lambda data: data.swapcase())),
    ("sends the head, then the bytes", CopyingSender(spoil=lambda data: b"")),
    ("how many bytes were taken", CopyingSender(count=lambda sent: -1)),
    ("how many bytes were taken", CopyingSender(count=lambda sent: sent + 10**9)),
]


@pytest.mark.parametrize(("says", "power"), ZERO_COPY)
def test_zero_copy(tmp_path, says, power, monkeypatch):
    monkeypatch.setattr("smbport.testing.exam.powers.MAX_SENDS", 2000)
    (finding,) = examine(with_power("zero_copy", power), str(tmp_path), ["zero_copy"]).findings
    assert (finding.outcome, says in finding.detail) == ("failed" if says else "passed", True), finding


def test_zero_copy_that_never_says_stop(tmp_path, monkeypatch):
    class Careless(CopyingSender):
        def send(self, *args):
            try:
                return super().send(*args)
            except BlockingIOError:
                return 0

    monkeypatch.setattr("smbport.testing.exam.powers.MAX_SENDS", 2000)
    (finding,) = examine(with_power("zero_copy", Careless()), str(tmp_path), ["zero_copy"]).findings
    assert "takes nothing now" in finding.detail


@pytest.mark.parametrize(("needs_cached", "outcome"), [(False, "passed"), (True, "failed")])
def test_zero_copy_of_what_is_never_in_memory(tmp_path, needs_cached, outcome):
    class Cold(CopyingSender):
        def send(self, *args):
            raise OSError(errno.EBUSY, "not in memory")

    cold = Cold()
    cold.needs_cached = needs_cached
    (finding,) = examine(with_power("zero_copy", cold), str(tmp_path), ["zero_copy"]).findings
    assert finding.outcome == outcome


def test_zero_copy_needs_descriptors(tmp_path):
    platform = make_platform()
    platform.zero_copy = CopyingSender()
    (finding,) = examine(platform, str(tmp_path), ["zero_copy"]).findings
    assert "descriptor" in finding.detail


def distorted(distort):
    """A platform whose watchers tell `distort(events)`, a list, instead of what happened."""

    def act(call):
        if call.path == "Watcher.take":
            return distort(call.proceed())
        return call.proceed()

    return wrap(make_platform(), act)


def every(**changes):
    return lambda events: [event._replace(**changes) for event in events]


def doubled(events):
    return [twice for event in events for twice in (event, event)]


def without(*what):
    return lambda events: [event for event in events if event.what not in what]


def numbered(counter):
    """Watchers that number handles, not directories."""

    def act(call):
        return next(counter) if call.path == "Watcher.add" else call.proceed()

    return wrap(make_platform(), act)


SILENT = os.pipe()  # nobody writes to it
WATCHES = [
    ("not readable when all", planted("Watcher.fileno", lambda call: os.open(os.devnull, os.O_WRONLY))),
    ("readable once something", planted("Watcher.fileno", lambda call: SILENT[0])),
    ("never returns 0", planted("Watcher.add", lambda call: 0)),
    ("the same number", numbered(itertools.count(1))),
    ("another number", planted("Watcher.add", lambda call: 1)),
    ("no other names", distorted(doubled)),
    ("no other names", distorted(without(WatchChange.ADDED))),
    ("no other names", distorted(every(is_directory=False))),
    ("the number of its directory", distorted(every(watch=77))),
    ("the same `pair`", distorted(every(pair=0))),
    ("what files suffer is told", distorted(without(WatchChange.MODIFIED))),
    ("what files suffer is told", distorted(without(WatchChange.ATTRIBUTES))),
    ("tells MOVED", distorted(without(WatchChange.MOVED))),
    ("tells GONE", distorted(without(WatchChange.GONE))),
    ("told of in both", distorted(lambda events: [event for event in events if event.watch == events[0].watch])),
]


@pytest.mark.parametrize(("says", "platform"), WATCHES)
def test_watch(tmp_path, says, platform):
    (finding,) = examine(platform, str(tmp_path), ["watch"]).findings
    assert (finding.outcome, says in finding.detail) == ("failed", True), finding


def test_watch_that_goes_on(tmp_path):
    platform = make_platform()
    inner = platform.watch.start()
    platform.watch = wrap_watch(inner)
    (finding,) = examine(platform, str(tmp_path), ["watch"]).findings
    assert "watched no more" in finding.detail


def wrap_watch(inner):
    """A watcher that cannot stop watching the first of its directories."""

    class Clinging:
        def __getattr__(self, name):
            return getattr(inner, name)

        def start(self):
            return self

        def remove(self, watch):
            if watch != 1:
                inner.remove(watch)

    return Clinging()


def test_watch_where_changes_cannot_be_seen(tmp_path):
    platform = planted("Watcher.add", raising(error(errno.ENOTSUP)))
    (finding,) = examine(platform, str(tmp_path), ["watch"]).findings
    assert finding == ("watch", "absent", "changes on this volume cannot be seen")
    platform = planted("Watcher.add", raising(error(errno.EIO)))
    (finding,) = examine(platform, str(tmp_path), ["watch"]).findings
    assert finding.outcome == "failed"


class Become:
    """An identity whose `become` is wrong."""

    def __init__(self, inner, become):
        self.inner = inner
        self.become = become

    def __getattr__(self, name):
        return getattr(self.inner, name)


def test_identities_that_are_of_the_whole_process(tmp_path):
    platform = make_platform()
    inner = platform.identity

    @contextmanager
    def become(account):
        own, platform.account = platform.account, account
        try:
            yield
        finally:
            platform.account = own

    platform.identity = Become(inner, become)
    (finding,) = examine(platform, str(tmp_path), ["identity"]).findings
    assert "its own thread" in finding.detail


def test_identities_that_are_not_given_back(tmp_path):
    platform = make_platform()
    inner, entered = platform.identity, []

    def become(account):
        entered.append(inner.become(account))
        entered[-1].__enter__()
        return nullcontext()

    platform.identity = Become(inner, become)
    (finding,) = examine(platform, str(tmp_path), ["identity"]).findings
    assert "come back" in finding.detail


def test_identities_that_do_nothing(tmp_path):
    platform = make_platform()
    platform.identity = Become(platform.identity, lambda account: nullcontext())
    (finding,) = examine(platform, str(tmp_path), ["identity"]).findings
    assert "has the rights of the account" in finding.detail


def test_identities_without_a_second_account(tmp_path):
    platform = MemoryPlatform(accounts=[Account("alice", 1, 1)])
    (finding,) = examine(platform, str(tmp_path), ["identity"]).findings
    assert (finding.outcome, finding.detail) == ("passed", "no second account to act as was found")


def test_identities_that_may_not_enter(tmp_path):
    platform = make_platform()
    platform.open_volume(str(tmp_path)).open("", 1).set_mode(0o700)
    (finding,) = examine(platform, str(tmp_path), ["identity"]).findings
    assert (finding.outcome, finding.detail) == ("passed", "nobody may not enter the volume")


def test_everything_passes_and_nothing_is_left_behind(tmp_path):
    platform = make_platform()
    report = examine(platform, str(tmp_path))
    assert report.passed
    assert {finding.check for finding in report.findings} == set(CHECKS)
    assert {finding.check for finding in report.findings if finding.outcome == "absent"} == {
        "read_only",
        "zero_copy",
    }
    assert platform.open_volume(str(tmp_path)).open("", 1).entries(10) == []
    assert str(report).endswith("memory passed the exam")
    assert "zero_copy    absent  file data is in this process already" in str(report)


def test_handles_of_the_exam_are_closed(tmp_path):
    platform = make_platform()
    examine(platform, str(tmp_path))
    assert platform.open_handles == 0


def test_the_thread_path_passes_as_well(tmp_path):
    faults = Faults()
    faults.force_threads()
    report = examine(faults.wrap(make_platform()), str(tmp_path))
    assert report.passed, report


def test_a_read_only_volume(tmp_path):
    report = examine(read_only(make_platform()), str(tmp_path))
    assert report.passed
    assert [finding.check for finding in report.findings if finding.outcome == "passed"] == [
        "honesty",
        "sockets",
        "read_only",
    ]


def test_a_failed_report_says_so(tmp_path):
    report = examine(altered(file_system=""), str(tmp_path), ["honesty", "sockets"])
    assert not report.passed
    assert str(report).splitlines()[0] == "honesty      failed  Features.file_system is a name that clients can be told"
    assert str(report).endswith("memory failed the exam")


def test_checks_can_be_called_by_themselves(tmp_path):
    for power in POWERS:
        if power in CHECKS and getattr(make_platform(), power) is None:
            with pytest.raises(NotExamined, match=r"\w+"):
                CHECKS[power](make_platform(), str(tmp_path))
    assert CHECKS["sockets"](make_platform(), "") == ""


def test_a_platform_without_links_and_fifos(tmp_path):
    """The volume has neither a method to plant them nor a place on the host."""

    class Bare:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            if name == "plant_link":
                raise AttributeError(name)
            return getattr(self.inner, name)

        def make_special(self, path, kind, mode, *, wait=False):
            raise PermissionError(errno.EPERM, path)

    platform = wrap(
        make_platform(), lambda call: Bare(call.proceed()) if call.name == "open_volume" else call.proceed()
    )
    details = {finding.check: finding.detail for finding in examine(platform, str(tmp_path)).findings}
    assert details["volume"] == "no FIFO could be made"
    assert details["removing"] == details["containment"] == "no symbolic links could be made"


def test_a_file_system_without_second_names_and_odd_ones(tmp_path):
    platform = planted("Volume.link", raising(error(errno.EPERM)))
    (finding,) = examine(platform, str(tmp_path), ["renaming"]).findings
    assert (finding.outcome, finding.detail) == ("passed", "the file system has no second names")

    def refuse_colons(call):
        if ":" in call.arguments["path"]:
            raise error(errno.EINVAL)
        return call.proceed()

    (finding,) = examine(planted("Volume.create", refuse_colons), str(tmp_path), ["names"]).findings
    assert (finding.outcome, finding.detail) == ("passed", "refused names: 'col:on'")
