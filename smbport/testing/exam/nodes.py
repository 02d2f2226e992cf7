"""The exam for open files and directories."""

import errno
from typing import Final, cast

from smbport.platform import ACCESS_NONE, ACCESS_READ, Directory, Kind, Node, Platform
from smbport.testing.exam.bench import BOTH, Bench, check_refused, demanding, list_names, open_bench, require

__all__ = ["check_directories", "check_files", "check_times"]

MIB: Final = 1 << 20
TOO_MUCH: Final = 1 << 60  # bytes that no volume has
NO_ROOM: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
UNSUPPORTED: Final = (errno.ENOTSUP, errno.EOPNOTSUPP)
MANY: Final = 300  # entries: more than one getdents call of Linux gives

# Even seconds, because that is all that FAT keeps; after 1980 and before 2038 for the same kind of reason.
SOME_NS: Final = 1_000_000_000 * 10**9
OTHER_NS: Final = 1_111_111_110 * 10**9


def check_files(platform: Platform, path: str) -> str:
    """Reading, writing, sizes, room, rights of a handle, modes."""
    with open_bench(platform, path) as bench:
        _check_reading(bench)
        _check_writing(bench)
        _check_resizing(bench)
        _check_allocating(bench)
        _check_access(bench)
        _check_modes(bench)
    return ""


def _check_reading(bench: Bench) -> None:
    file = bench.create("read", b"0123456789")
    for offset, length, expected in (
        (0, 10, b"0123456789"),
        (2, 3, b"234"),
        (8, 100, b"89"),
        (10, 1, b""),
        (1 << 40, 1, b""),
        (0, 0, b""),
    ):
        data = file.read_at(offset, length)
        require(
            data == expected,
            f"read_at({offset}, {length}) of 10 bytes is {expected!r}: fewer bytes only at the end of the file",
        )
    file.close()
    large = bytes(range(251)) * (MIB // 250)
    file = bench.create("large", large)
    require(file.read_at(0, 2 * MIB) == large, "read_at gives all that was asked for, whatever the length")
    require(file.fileno() >= -1, "fileno() is a descriptor, or -1")
    file.close()


def _check_writing(bench: Bench) -> None:
    file = bench.create("written")
    reader = bench.open("written", ACCESS_READ)
    require(file.write_at(0, b"abcdef") == 6, "write_at returns len(data)")
    require(reader.read_at(0, 9) == b"abcdef", "what write_at wrote is visible to every handle when it returns")
    require(file.write_at(2, memoryview(b"-XY-")[1:3]) == 2, "write_at takes a memoryview")
    require(reader.read_at(0, 9) == b"abXYef", "write_at writes at its offset and leaves the rest alone")
    require(file.write_at(3, b"!", through=True) == 1, "write_at with `through` returns len(data)")
    require(reader.read_at(0, 9) == b"abX!ef", "write_at with `through` writes")
    require(file.write_at(100, b"") == 0 and file.stat().size == 6, "writing nothing changes nothing")
    require(file.write_at(100, b"end") == 3, "write_at writes behind the end")
    require(reader.read_at(6, 99) == bytes(94) + b"end", "what lies between reads as zeroes")
    require(reader.stat().size == 103, "write_at behind the end makes the file longer")
    file.sync()
    file.close()
    reader.close()


def _check_resizing(bench: Bench) -> None:
    file = bench.create("resized", b"secret" * 1000)
    file.resize(3)
    require(file.stat().size == 3, "resize sets the size")
    file.resize(5000)
    require(file.read_at(0, 9999) == b"sec" + bytes(4997), "after resize the new part reads as zeroes")
    file.resize(0)
    require((file.stat().size, file.read_at(0, 1)) == (0, b""), "resize(0) makes a file empty")
    file.close()


def _check_allocating(bench: Bench) -> None:
    file = bench.create("allocated", b"data")
    file.allocate(MIB)
    require(file.stat().size == 4 and file.read_at(0, 99) == b"data", "allocate changes neither size nor data")
    demand = "allocate is OSError(ENOSPC) if there is not enough room"
    check_refused(demand, NO_ROOM, file.allocate, TOO_MUCH)
    require(file.stat().size == 4 and file.read_at(0, 99) == b"data", "an allocate that failed changes nothing")
    file.close()


def _check_access(bench: Bench) -> None:
    bench.make("guarded", b"data")
    for access in (ACCESS_NONE, ACCESS_READ):
        file = bench.open("guarded", access)
        check_refused("a handle without ACCESS_WRITE does not write", (), file.write_at, 0, b"x")
        check_refused("a handle without ACCESS_WRITE does not resize", (), file.resize, 0)
        file.close()
    require(bench.read("guarded") == b"data", "a call that failed changes nothing")
    file = bench.volume.create(bench.at("for-me"), BOTH, 0o400)
    with demanding("the handle that create gives has its access, whatever the mode of the file"):
        file.write_at(0, b"x")
    file.close()


def _check_modes(bench: Bench) -> None:
    for node, asked in (
        (bench.create("mode", mode=0o640), 0o640),
        (bench.volume.make_directory(bench.at("mode-directory"), 0o750), 0o750),
    ):
        stat = node.stat()
        require(stat.mode & 0o777 & ~asked == 0, "what is new gives nobody more rights than the mode says")
        for mode in (0o700, 0o740):
            node.set_mode(mode)
            require(node.stat().mode & 0o777 == mode, "set_mode sets the permission bits")
        node.set_owner(None, None)
        now = node.stat()
        require((now.uid, now.gid) == (stat.uid, stat.gid), "set_owner leaves alone what is None")
        node.close()


def check_directories(platform: Platform, path: str) -> str:
    """Making directories and listing them."""
    with open_bench(platform, path) as bench:
        _check_listing(bench)
        _check_changes_while_listing(bench)
        _check_entry_states(bench)
    return ""


def _make_directory(bench: Bench, name: str) -> Directory:
    directory = bench.volume.make_directory(bench.at(name), 0o755)
    require(directory.is_directory is True, "what make_directory gives has is_directory True")
    require(directory.stat().kind == Kind.DIRECTORY, "make_directory makes a directory")
    return directory


def _check_listing(bench: Bench) -> None:
    directory = _make_directory(bench, "many")
    require(directory.entries(10) == [], 'a new directory has no entries, neither "." nor ".."')
    expected = {f"file-{number}" for number in range(MANY)}
    for name in expected:
        bench.make(f"many/{name}")
    directory.rewind()
    found: list[str] = []
    while entries := directory.entries(7, stat=False):
        require(len(entries) <= 7, "entries() gives at most `limit` entries")
        require(all(entry.stat is None for entry in entries), "without `stat`, Entry.stat is None")
        found += [entry.name for entry in entries]
        require(len(found) <= MANY, "entries() lists every name once")
    require(set(found) == expected, "entries() lists every name once, and [] only at the end")
    require(directory.entries(7) == [], "entries() stays [] at the end")
    directory.rewind()
    require(len(list_names(directory, limit=10 * MANY)) == MANY, "after rewind, listing starts from the first entry")
    directory.sync()
    directory.close()


def _check_changes_while_listing(bench: Bench) -> None:
    bench.make_directory("busy")
    for number in range(MANY):
        bench.make(f"busy/{number}")
    directory = cast("Directory", bench.volume.open(bench.at("busy"), ACCESS_READ))
    first = directory.entries(1)[0].name
    for number in range(0, MANY, 2):
        if str(number) != first:
            bench.remove(f"busy/{number}")
    rest = [entry.name for entry in directory.entries(MANY)]
    while entries := directory.entries(MANY):
        rest += [entry.name for entry in entries]
    stayed = {str(number) for number in range(1, MANY, 2)} - {first}
    require(stayed <= set(rest), "names that stay are listed, whatever happens to others meanwhile")
    require(len(rest) == len(set(rest)) and first not in rest, "no name is listed twice")
    bench.make("busy/new")
    directory.rewind()
    require("new" in list_names(directory), "after rewind, the directory is listed as it is now")
    directory.close()


def _check_entry_states(bench: Bench) -> None:
    bench.make_directory("mixed")
    bench.make("mixed/file", b"12345")
    bench.make_directory("mixed/below")
    directory = cast("Directory", bench.volume.open(bench.at("mixed"), ACCESS_READ))
    states = {entry.name: entry.stat for entry in directory.entries(100)}
    for name in ("file", "below"):
        stat = bench.stat(f"mixed/{name}")
        require(states.get(name) == stat, "with `stat`, an entry has the state that Volume.stat gives")
    directory.close()


def check_times(platform: Platform, path: str) -> str:
    """Times, and the marks that are stored beside them."""
    with open_bench(platform, path) as bench:
        _check_setting_times(bench, bench.create("file"))
        _check_setting_times(bench, bench.volume.make_directory(bench.at("directory"), 0o755))
        _check_writing_moves_time(bench)
        for node in (bench.create("marked"), bench.volume.make_directory(bench.at("marked-directory"), 0o755)):
            if bench.volume.features.stores_marks:
                _check_marks(bench, node)
            else:
                demand = "without Features.stores_marks, set_marks is OSError(ENOTSUP)"
                check_refused(demand, UNSUPPORTED, node.set_marks, 0x22, None)
                require(node.stat().dos_attributes is None, "Stat.dos_attributes is None if never stored")
            node.close()
    return ""


def _check_setting_times(bench: Bench, node: Node) -> None:
    node.set_times(SOME_NS, OTHER_NS)
    stat = node.stat()
    require((stat.access_ns, stat.write_ns) == (SOME_NS, OTHER_NS), "set_times sets both times")
    node.set_times(None, SOME_NS)
    require(node.stat().write_ns == SOME_NS, "set_times sets the write time")
    node.set_times(OTHER_NS, None)
    stat = node.stat()
    require((stat.access_ns, stat.write_ns) == (OTHER_NS, SOME_NS), "set_times leaves alone what is None")
    node.close()


def _check_writing_moves_time(bench: Bench) -> None:
    file = bench.create("moved")
    for change in (lambda: file.write_at(0, b"x"), lambda: file.resize(0)):
        file.set_times(SOME_NS, SOME_NS)
        birth_ns = file.stat().birth_ns
        change()
        stat = file.stat()
        require(stat.write_ns > SOME_NS, "writing and resizing set the write time")
        if bench.volume.features.birth_time:
            require(stat.birth_ns == birth_ns, "the birth time stays when a file is written")
    file.close()


def _check_marks(bench: Bench, node: Node) -> None:
    require(node.stat().dos_attributes is None, "Stat.dos_attributes is None if never stored")
    node.set_marks(0x22, SOME_NS)
    stat = node.stat()
    require((stat.dos_attributes, stat.birth_ns) == (0x22, SOME_NS), "set_marks stores what stat gives back")
    node.set_marks(0x01, None)
    stat = node.stat()
    require((stat.dos_attributes, stat.birth_ns) == (0x01, SOME_NS), "set_marks keeps what is None")
    node.set_marks(None, OTHER_NS)
    stat = node.stat()
    require((stat.dos_attributes, stat.birth_ns) == (0x01, OTHER_NS), "set_marks keeps what is None")
    name = "marked-directory" if stat.kind == Kind.DIRECTORY else "marked"
    require(bench.stat(name) == stat, "stat by name gives the marks as well")
    unmarked = bench.volume.stat(bench.at(name), marks=False)
    unmarked.dos_attributes, unmarked.birth_ns = stat.dos_attributes, stat.birth_ns
    require(unmarked == stat, "stat without marks gives all else")
    directory = cast("Directory", bench.volume.open(bench.base, ACCESS_READ))
    require(stat in [entry.stat for entry in directory.entries(100)], "listing gives the marks as well")
    directory.close()
