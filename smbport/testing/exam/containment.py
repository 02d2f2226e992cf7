"""The exam's most important part: no name leaves the volume."""

import errno
import os
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Final

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, FileKey, Kind, Platform, Stat
from smbport.testing.exam.bench import BOTH, Bench, NotExamined, check_refused, demanding, open_bench, require

__all__ = ["check_containment", "check_links"]

LEAVES: Final = "a symbolic link that leaves the volume is OSError(EXDEV)"
OUT: Final = (errno.EXDEV,)
LOOP: Final = (errno.ELOOP,)
UP: Final = "../" * 40  # more than any volume's root is deep on its host
SECRET: Final = b"secret"


def check_containment(platform: Platform, path: str) -> str:
    """Neither dots nor symbolic links lead out of the volume; links inside it are followed."""
    with open_bench(platform, path) as bench, TemporaryDirectory(prefix="smbport-exam-") as outside:
        with open(os.path.join(outside, "file"), "wb") as file:
            file.write(SECRET)
        _check_dots(bench)
        if not bench.plant_link("out", outside):
            return "no symbolic links could be made"
        bench.plant_link("up", UP + outside.lstrip("/"))
        bench.plant_link("file-out", os.path.join(outside, "file"))
        for name in ("out", "up"):
            _check_leaving(bench, name)
        _check_link_itself(bench, "out")
        _check_leaving_file(bench)
        _check_outside(outside)
        _check_links_inside(bench)
        _check_useless_links(bench)
    return ""


def _check_dots(bench: Bench) -> None:
    demand = "a path never leaves the volume, even if the core were to send dots or a leading slash"
    for path in ("..", "../", "../x", "/", f"/{bench.base}", f"{bench.base}/../..", f"{bench.base}/../../x"):
        check_refused(demand, (), bench.volume.stat, path)
        check_refused(demand, (), bench.volume.open, path, ACCESS_READ)
        check_refused(demand, (), bench.volume.create, path + "/smbport-exam-file", BOTH, 0o644)


def _check_leaving(bench: Bench, name: str) -> None:
    """`name` is a link to a directory outside that holds one file, `file`."""
    volume = bench.volume
    for access in (ACCESS_NONE, ACCESS_READ):
        check_refused(LEAVES, OUT, volume.open, bench.at(name), access)
        check_refused(LEAVES, OUT, volume.open, bench.at(f"{name}/file"), access)
    check_refused(LEAVES, OUT, volume.stat, bench.at(name))
    bench.make(f"inside-{name}")
    inside, through = bench.at(f"inside-{name}"), bench.at(f"{name}/file")
    new, key = bench.at(f"{name}/new"), FileKey(0, 0)
    refusals: list[tuple[Callable[..., object], tuple[object, ...], dict[str, object]]] = [
        (volume.stat, (through,), {}),
        (volume.stat, (through,), {"follow": False}),
        (volume.create, (new, BOTH, 0o644), {}),
        (volume.make_directory, (new, 0o755), {}),
        (volume.rename, (inside, new), {"replace": False}),
        (volume.rename, (inside, through), {"replace": True}),
        (volume.rename, (through, bench.at("stolen")), {"replace": False}),
        (volume.link, (inside, new), {}),
        (volume.link, (through, bench.at("stolen")), {}),
        (volume.remove, (through, key), {}),
    ]
    for function, args, keywords in refusals:
        check_refused(
            "nothing is found or changed through a link that leaves the volume", (), function, *args, **keywords
        )


def _check_link_itself(bench: Bench, name: str) -> None:
    with demanding("stat with follow=False is about the symbolic link itself"):
        link = bench.stat(name, follow=False)
    require(link.kind == Kind.SYMLINK, "stat with follow=False is about the symbolic link itself")
    require(_listed(bench, name) == link, "an entry that is a link out of the volume has the state of the link itself")
    with demanding("open with follow=False and ACCESS_NONE opens the link itself"):
        node = bench.volume.open(bench.at(name), ACCESS_NONE, follow=False)
    require(node.stat().kind == Kind.SYMLINK, "open with follow=False and ACCESS_NONE opens the link itself")
    node.close()
    demand = "open with follow=False of a link is OSError(ELOOP) unless the access is ACCESS_NONE"
    check_refused(demand, LOOP, bench.volume.open, bench.at(name), ACCESS_READ, follow=False)


def _check_leaving_file(bench: Bench) -> None:
    for access in (ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, BOTH):
        check_refused(LEAVES, OUT, bench.open, "file-out", access)
    check_refused("create on a link is FileExistsError", (errno.EEXIST,), bench.create, "file-out")


def _check_outside(outside: str) -> None:
    with open(os.path.join(outside, "file"), "rb") as file:
        intact = file.read() == SECRET
    require(intact and os.listdir(outside) == ["file"], "what lies outside of the volume is never changed")


def _check_links_inside(bench: Bench) -> None:
    bench.make_directory("directory")
    inner = bench.make("directory/file", b"inner")
    bench.plant_link("short", "directory/file")
    bench.plant_link("directory/detour", "../directory/./file")
    bench.plant_link("way", "directory")
    for name in ("short", "directory/detour", "way/file"):
        with demanding("a symbolic link inside the volume is followed"):
            require(bench.read(name) == b"inner", "open follows a symbolic link inside the volume")
            require(bench.stat(name).key == inner.key, "stat follows a symbolic link inside the volume")
    listed = _listed(bench, "short")
    require(
        listed is not None and listed.key == inner.key,
        "an entry that is a link inside the volume has the state of its target",
    )
    with demanding("a link to a directory inside the volume is followed on the way"):
        bench.make("way/new", b"new")
    require(bench.read("directory/new") == b"new", "a link to a directory inside the volume is followed on the way")


def _check_useless_links(bench: Bench) -> None:
    bench.plant_link("tick", "tock")
    bench.plant_link("tock", "tick")
    check_refused("links that lead to each other are OSError(ELOOP)", LOOP, bench.stat, "tick")
    check_refused("links that lead to each other are OSError(ELOOP)", LOOP, bench.open, "tick/x", ACCESS_READ)
    bench.plant_link("dangling", "nothing")
    check_refused("a link that leads to nothing is FileNotFoundError", (errno.ENOENT,), bench.stat, "dangling")
    demand = "create on a dangling link is FileExistsError"
    check_refused(demand, (errno.EEXIST,), bench.create, "dangling")
    check_refused(demand, (errno.EEXIST,), bench.make_directory, "dangling")
    require(not bench.exists("nothing"), "create never makes the target of a dangling link")
    for name in ("tick", "dangling"):
        listed = _listed(bench, name)
        require(
            listed == bench.stat(name, follow=False), "an entry that leads to nothing has the state of the link itself"
        )


def check_links(platform: Platform, path: str) -> str:
    """Symbolic links are made, read and removed."""
    with open_bench(platform, path) as bench:
        volume, at = bench.volume, bench.at
        key = bench.make("file", b"content").key
        try:
            volume.symlink(at("link"), "file")
        except PermissionError:
            raise NotExamined("the volume has no symbolic links") from None
        with demanding("symlink makes a link that is followed"):
            require(bench.read("link") == b"content", "symlink makes a link that is followed")
        for number, target in enumerate(("file", "no such", "/", UP, "a/../b")):
            made = at(str(number))
            volume.symlink(made, target)
            require(volume.read_link(made) == target, "read_link gives what symlink was given, whatever it is")
        for name in ("file", "link", "1"):
            demand = "symlink is FileExistsError if the name is taken, be it by a dangling link"
            check_refused(demand, (errno.EEXIST,), volume.symlink, at(name), "file")
        check_refused("read_link of what is no link is OSError(EINVAL)", (errno.EINVAL,), volume.read_link, at("file"))
        check_refused("read_link of nothing is FileNotFoundError", (errno.ENOENT,), volume.read_link, at("none"))
        volume.rename(at("link"), at("moved"), replace=False)
        require(volume.read_link(at("moved")) == "file", "rename of a link moves the link itself")
        volume.remove(at("moved"), bench.stat("moved", follow=False).key)
        require(not bench.exists("moved"), "remove takes a link away by the key of the link itself")
        require(bench.stat("file").key == key, "remove of a link leaves what it leads to")
    return ""


def _listed(bench: Bench, name: str) -> Stat | None:
    directory = bench.volume.open(bench.base, ACCESS_READ)
    assert directory.is_directory
    try:
        while entries := directory.entries(100):
            for entry in entries:
                if entry.name == name:
                    return entry.stat
        return None
    finally:
        directory.close()
