"""The exam for names: how they are stored, renamed, added and removed."""

import errno
from contextlib import suppress
from functools import partial
from typing import Final

from smbport.platform import ACCESS_READ, FileKey, Platform, Stat
from smbport.testing.exam.bench import BOTH, Bench, check_refused, demanding, open_bench, require, run_together

__all__ = ["check_names", "check_removing", "check_renaming"]

MISSING: Final = (errno.ENOENT,)
TAKEN: Final = (errno.EEXIST,)
NOT_EMPTY: Final = (errno.ENOTEMPTY, errno.EEXIST)  # POSIX allows both
NO_SECOND_NAMES: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)
RACES: Final = 20  # guessed: enough for a rename in two steps to be caught in between

PLAIN_NAMES: Final = ("plain", "two words", "ümläut", "日本語", "🙂", "UPPER.lower", ".dot")
ODD_NAMES: Final = ("back\\slash", "col:on", "trailing.", "trailing ", "new\nline", "\udcff\udcfe", "e\u0301", "CON")


def check_names(platform: Platform, path: str) -> str:
    """Names come back as they were given, up to the longest; case counts or not, as Features say."""
    refused = []
    with open_bench(platform, path) as bench:
        for name in PLAIN_NAMES:
            _check_round_trip(bench, name)
        for name in ODD_NAMES:
            try:
                bench.create(name).close()
            except OSError:
                refused.append(name)
                continue
            bench.remove(name)
            _check_round_trip(bench, name)
        _check_long_names(bench)
        _check_case(bench)
        _check_witnesses(bench)
    return f"refused names: {', '.join(map(repr, refused))}" if refused else ""


def _check_round_trip(bench: Bench, name: str) -> None:
    bench.make(name, b"x")
    require(bench.names() == [name], f"the name {name!r} is listed as it was given")
    require(bench.read(name) == b"x", f"the name {name!r} opens the file")
    bench.remove(name)
    require(bench.names() == [], f"the name {name!r} can be removed")


def _check_long_names(bench: Bench) -> None:
    longest = "n" * bench.volume.features.max_name_bytes
    _check_round_trip(bench, longest)
    demand = "a name of more than Features.max_name_bytes is OSError(ENAMETOOLONG)"
    check_refused(demand, (errno.ENAMETOOLONG,), bench.create, longest + "n")
    check_refused(demand, (errno.ENAMETOOLONG,), bench.stat, longest + "n")


def _check_case(bench: Bench) -> None:
    bench.make("Case")
    if bench.volume.features.case_sensitive:
        require(not bench.exists("cASE"), "with Features.case_sensitive, names that differ in case are two files")
        bench.make("cASE")
        require(bench.names() == ["Case", "cASE"], "with Features.case_sensitive, both names can be there")
    else:
        require(bench.exists("cASE"), "without Features.case_sensitive, a file is found whatever the case")


class _Witness:
    """Sees a directory before and after a change, or objects to it."""

    def __init__(self, *, objects: bool = False) -> None:
        self.objects = objects
        self.seen: list[Stat] = []

    def before(self, directory: Stat) -> None:
        self.seen = [directory]
        if self.objects:
            raise FileExistsError(errno.EEXIST, "the witness objects")

    def after(self, directory: Stat) -> None:
        self.seen.append(directory)


def _check_witnesses(bench: Bench) -> None:
    bench.make_directory("seen")
    for is_directory in (False, True):
        for change in (_make_seen, _remove_seen):
            demand = "what a witness objects to is not done"
            existed = bench.exists("seen/name")
            check_refused(demand, TAKEN, change, bench, _Witness(objects=True), is_directory)
            require(bench.exists("seen/name") == existed, demand)
            states = [bench.volume.stat(bench.at("seen"), marks=False)]
            witness = _Witness()
            change(bench, witness, is_directory)
            states.append(bench.volume.stat(bench.at("seen"), marks=False))
            require(witness.seen == states, "a witness sees the directory as it is before and after the change")


def _make_seen(bench: Bench, witness: _Witness, is_directory: bool) -> None:
    path = bench.at("seen/name")
    if is_directory:
        bench.volume.make_directory(path, 0o755, witness=witness).close()
    else:
        bench.volume.create(path, BOTH, 0o644, witness=witness).close()


def _remove_seen(bench: Bench, witness: _Witness, is_directory: bool) -> None:
    path = bench.at("seen/name")
    bench.volume.remove(path, bench.volume.stat(path).key, directory=is_directory, witness=witness)


def check_renaming(platform: Platform, path: str) -> str:
    """rename and link."""
    with open_bench(platform, path) as bench:
        _check_rename(bench)
        _check_replacing(bench)
        _check_directories_move(bench)
        if bench.volume.features.rename_exclusive:
            _check_rename_race(bench)
        return _check_link(bench)


def _rename(bench: Bench, old: str, new: str, *, replace: bool) -> None:
    bench.volume.rename(bench.at(old), bench.at(new), replace=replace)


def _check_rename(bench: Bench) -> None:
    file = bench.create("old", b"old")
    key = file.stat().key
    _rename(bench, "old", "new", replace=False)
    require(bench.names() == ["new"], "after rename the old name is gone and the new one there")
    require(bench.stat("new").key == key, "a renamed file keeps its key")
    with demanding("handles survive renames"):
        require(file.read_at(0, 9) == b"old", "handles survive renames")
        require(file.stat().key == key, "handles survive renames")
    file.close()
    bench.make("other", b"other")
    demand = "rename with replace=False onto a taken name is FileExistsError"
    check_refused(demand, TAKEN, _rename, bench, "new", "other", replace=False)
    bench.make_directory("directory")
    check_refused(demand, TAKEN, _rename, bench, "new", "directory", replace=False)
    require((bench.read("new"), bench.read("other")) == (b"old", b"other"), "a rename that failed changes nothing")
    check_refused("rename of what is not there is FileNotFoundError", MISSING, _rename, bench, "no", "x", replace=True)
    check_refused(
        "rename into a directory that is not there is FileNotFoundError",
        MISSING, _rename, bench, "new", "no/x", replace=True,
    )  # fmt: skip


def _check_replacing(bench: Bench) -> None:
    bench.make("winner", b"winner")
    loser = bench.create("loser", b"loser")
    _rename(bench, "winner", "loser", replace=True)
    require(bench.read("loser") == b"winner", "rename with replace=True puts the file in the place of the other")
    require(not bench.exists("winner"), "rename with replace=True takes the old name away")
    demand = "a file that was replaced lives on for its open handles"
    with demanding(demand):
        require(loser.read_at(0, 9) == b"loser", demand)
    loser.close()


def _check_directories_move(bench: Bench) -> None:
    bench.make_directory("from")
    bench.make("from/file", b"inside")
    bench.make_directory("to")
    _rename(bench, "from", "to/moved", replace=False)
    require(bench.read("to/moved/file") == b"inside", "a directory moves with what is in it")
    check_refused("a directory cannot be moved into itself", (), _rename, bench, "to", "to/moved/to", replace=True)
    bench.make_directory("empty")
    demand = "a directory replaces an empty one only: OSError(ENOTEMPTY)"
    check_refused(demand, NOT_EMPTY, _rename, bench, "empty", "to", replace=True)
    require(bench.read("to/moved/file") == b"inside", "a rename that failed changes nothing")


def _check_rename_race(bench: Bench) -> None:
    for number in range(RACES):
        racers = [f"racer-{number}-{index}" for index in range(4)]
        for name in racers:
            bench.make(name, name.encode())
        winners: list[str] = []
        run_together([partial(_race, bench, name, f"prize-{number}", winners) for name in racers])
        require(
            len(winners) == 1 and bench.read(f"prize-{number}") == winners[0].encode(),
            "with Features.rename_exclusive, of several renames to one new name exactly one succeeds",
        )


def _race(bench: Bench, old: str, new: str, winners: list[str]) -> None:
    with suppress(FileExistsError):
        _rename(bench, old, new, replace=False)
        winners.append(old)


def _check_link(bench: Bench) -> str:
    first = bench.make("first", b"shared")
    bench.make("taken")
    try:
        bench.volume.link(bench.at("first"), bench.at("second"))
    except OSError as error:
        require(error.errno in NO_SECOND_NAMES, "where files have one name only, link is OSError(EPERM) or ENOTSUP")
        return "the file system has no second names"
    second = bench.stat("second")
    require(second.key == first.key, "link gives the same file a second name")
    require(second.links == 2, "Stat.links counts the names")
    check_refused(
        "link onto a taken name is FileExistsError", TAKEN, bench.volume.link, bench.at("first"), bench.at("taken")
    )
    check_refused(
        "link of what is not there is FileNotFoundError", MISSING, bench.volume.link, bench.at("no"), bench.at("x")
    )
    bench.remove("first")
    require(bench.read("second") == b"shared", "a file is there as long as one name is")
    require(bench.stat("second").links == 1, "Stat.links counts the names")
    return ""


def check_removing(platform: Platform, path: str) -> str:
    """remove, and what is left of a file without a name."""
    with open_bench(platform, path) as bench:
        remove = bench.volume.remove
        file = bench.create("file", b"still here")
        key = file.stat().key
        other = bench.make("other").key
        demand = "remove is FileNotFoundError if the name stands for something else than `key` by now"
        check_refused(demand, MISSING, remove, bench.at("file"), other)
        check_refused(demand, MISSING, remove, bench.at("file"), FileKey(key.device, key.inode + (1 << 60)))
        check_refused("remove of what is not there is FileNotFoundError", MISSING, remove, bench.at("gone"), key)
        require(bench.exists("file"), "a remove that failed changes nothing")
        remove(bench.at("file"), key)
        require(not bench.exists("file"), "remove takes the name away")
        demand = "a file without a name lives on for its open handles"
        with demanding(demand):
            require(file.read_at(0, 99) == b"still here", demand)
            require(file.write_at(0, b"S") == 1, demand)
            require(file.stat().key == key, demand)
        file.close()
        _check_removing_directories(bench)
        return _check_removing_links(bench)


def _check_removing_directories(bench: Bench) -> None:
    remove = bench.volume.remove
    bench.make_directory("full")
    bench.make("full/file")
    key = bench.stat("full").key
    demand = "remove of a directory that is not empty is OSError(ENOTEMPTY)"
    check_refused(demand, NOT_EMPTY, remove, bench.at("full"), key, directory=True)
    check_refused("remove takes a directory only with directory=True", (), remove, bench.at("full"), key)
    check_refused(
        "remove with directory=True takes directories only",
        (), remove, bench.at("full/file"), bench.stat("full/file").key, directory=True,
    )  # fmt: skip
    require(bench.exists("full/file"), "a remove that failed changes nothing")
    bench.remove("full/file")
    handle = bench.volume.open(bench.at("full"), ACCESS_READ)
    remove(bench.at("full"), key, directory=True)
    require(not bench.exists("full"), "remove takes an empty directory away")
    demand = "stat works until close, also after the name is gone"
    with demanding(demand):
        require(handle.stat().key == key, demand)
    handle.close()


def _check_removing_links(bench: Bench) -> str:
    bench.make("target", b"target")
    if not bench.plant_link("link", "target"):
        return "no symbolic links could be made"
    bench.remove("link")
    require(not bench.exists("link"), "remove takes a symbolic link away")
    require(bench.read("target") == b"target", "remove of a symbolic link leaves its target alone")
    return ""
