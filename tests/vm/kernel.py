"""A Linux kernel for the machine: Debian's package, unpacked but never installed, and the initial RAM disk."""

import fcntl
import lzma
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.backports import BackportsMissing, run, use_backports

__all__ = ["CLIENT", "SERVER", "Kernel", "KernelMissing", "find_kernel", "find_package", "pack_initrd"]

META_PACKAGE: Final = "linux-image-amd64"
CACHE: Final = Path(os.environ.get("SMBPORT_CACHE") or Path(__file__).parents[2] / ".cache") / "kernel"

# What the machine stands on; then what cifs.ko and ksmbd ask for when they sign and seal, which newer kernels have in
# a library instead.
DEVICES: Final = ("virtio_pci", "virtio_net", "virtio_console", "virtio_rng", "9pnet_virtio", "9p")
CLIENT: Final = ("cifs", "nls_utf8")
SERVER: Final = ("ksmbd", *CLIENT)
ALGORITHMS: Final = (
    "ecb", "cmac", "ccm", "gcm", "ctr", "seqiv", "ghash_generic", "sha512_generic", "aesni_intel", "crc32_generic",
)  # fmt: skip

# "set -e": when a step fails, process 1 ends, the kernel panics, and with -no-reboot the machine is gone at once.
INIT: Final = """\
#!/bin/busybox sh
set -e
/bin/busybox --install -s /bin
mkdir -p /proc /sys /host
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do insmod $module; done
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host
mount -t tmpfs tmpfs /host/run
for folder in proc sys dev; do mount --move /$folder /host/$folder; done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TMPDIR=/run
exec switch_root /host {program}
"""


class KernelMissing(Exception):
    """There is no kernel to be had here; the text says why."""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    image: Path
    modules: Path  # the folder lib/modules/RELEASE


# The package -----------------------------------------------------------------------------------------------------


def find_kernel(backports_of: str = "") -> Kernel:
    """The newest kernel in the cache; if there is none, the one that apt offers.  Raises KernelMissing.

    Those of the backports of a release, such as "trixie", have a cache and package lists of their own.
    """
    cache = CACHE / f"{backports_of}-backports" if backports_of else CACHE
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        unpacked = sorted(cache.glob("linux-image-*"), key=lambda folder: folder.stat().st_mtime)
        return _kernel_in(unpacked[-1] if unpacked else _fetch(cache, backports_of))


def find_package(package: str, backports_of: str) -> Path:
    """The folder with a package of the backports of a release, unpacked.  Raises KernelMissing."""
    cache = CACHE.parent / "packages" / f"{backports_of}-backports"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        if not (cache / package).is_dir():
            _unpack(cache, package, [package], _options(cache / "apt", backports_of))
        return cache / package


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Several test runs share the cache; only one of them fills it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(cache: Path, backports_of: str) -> Path:
    """Since 6.19 the image is in three packages besides the one of that name."""
    options = _options(cache / "apt", backports_of) if backports_of else []
    found = re.search(r"Depends: linux-image-(\S+)", _run(["apt-cache", *options, "depends", META_PACKAGE], cache))
    if not found:
        raise KernelMissing(f"apt-cache knows no {META_PACKAGE}; apt-get update may help")
    package = f"linux-image-{found[1]}"
    depends = _run(["apt-cache", *options, "depends", package], cache)
    parts = re.findall(rf"Depends: (linux-(?:base|binary|modules)-{re.escape(found[1])})$", depends, re.MULTILINE)
    return _unpack(cache, package, [package, *parts], options)


def _unpack(cache: Path, name: str, packages: Sequence[str], options: Sequence[str]) -> Path:
    work = cache / "work"  # renamed when it is complete: an interrupted run leaves nothing that looks whole
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    _run(["apt-get", *options, "download", "-q", *packages], work)
    for archive in work.glob("*.deb"):
        _run(["dpkg-deb", "-x", archive.name, name], work)
    (work / name).rename(cache / name)
    shutil.rmtree(work)
    return cache / name


def _options(folder: Path, backports_of: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return use_backports(folder, backports_of)
    except BackportsMissing as error:
        raise KernelMissing(str(error)) from None


def _run(command: list[str], folder: Path) -> str:
    try:
        return run(command, folder)
    except BackportsMissing as error:
        raise KernelMissing(str(error)) from None


def _kernel_in(unpacked: Path) -> Kernel:
    """Debian 13 keeps modules below usr/lib, Debian 12 below lib; newer kernels are beside their modules."""
    modules = [*unpacked.glob("lib/modules/*"), *unpacked.glob("usr/lib/modules/*")]
    images = [*unpacked.glob("boot/vmlinuz-*"), *(image for folder in modules for image in folder.glob("vmlinuz"))]
    if not images or not modules:
        raise KernelMissing(f"{unpacked} holds no kernel; remove it to have it fetched again")
    return Kernel(images[0], modules[0])


# The initial RAM disk --------------------------------------------------------------------------------------------


def pack_initrd(kernel: Kernel, busybox: Path, program: Sequence[str], modules: Sequence[str] = CLIENT) -> bytes:
    """Loads the modules, makes the host's root (read-only) the guest's, and becomes `program`."""
    files = {"init": INIT.format(program=shlex.join(program)).encode(), "bin/busybox": busybox.read_bytes()}
    for number, content in enumerate(_load_order(kernel, (*DEVICES, *modules), ALGORITHMS)):
        files[f"modules/{number:03}.ko"] = content
    folders = ["bin", "dev", "modules"]
    entries = [_entry(name, stat.S_IFDIR | 0o755) for name in folders]
    entries.append(_entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    entries += [_entry(name, stat.S_IFREG | 0o755, content) for name, content in files.items()]
    return b"".join([*entries, _entry("TRAILER!!!", 0)])


def _load_order(kernel: Kernel, needed: Sequence[str], wanted: Sequence[str]) -> list[bytes]:
    """The modules, each after those that it depends on; what is built into the kernel needs none.

    Of what is only wanted, those that there are.
    """
    paths = {_module_name(path.name): path for path in kernel.modules.rglob("*.ko*")}
    built_in = {_module_name(Path(line).name) for line in (kernel.modules / "modules.builtin").read_text().split()}
    loaded: dict[str, bytes] = {}

    def load(name: str) -> None:
        if name in loaded or name in built_in:
            return
        if name not in paths:
            raise KernelMissing(f"{kernel.modules.name} has no module {name}")
        content = paths[name].read_bytes()
        if paths[name].suffix == ".xz":
            content = lzma.decompress(content)
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in depends[1].decode().split(",") if depends and depends[1] else ():
            load(_module_name(other))
        loaded[name] = content

    for name in (*needed, *(name for name in wanted if name in paths)):
        load(name)
    return list(loaded.values())


def _module_name(file_name: str) -> str:
    return file_name.partition(".ko")[0].replace("-", "_")


def _entry(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """A member of a "newc" cpio archive, as the kernel's Documentation/driver-api/early-userspace describes it."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + path) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
