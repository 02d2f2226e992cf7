"""Nothing outside a share is reached, whatever it is called: `..`, separators, streams, links, sibling directories."""

import itertools
import shutil
import struct

import pytest

from smbport.wire.constants import Access, CreateDisposition, CreateOption, FileInfo
from smbport.wire.status import Status, StatusError

pytestmark = pytest.mark.interop
needs_smbclient = pytest.mark.skipif(shutil.which("smbclient") is None, reason="smbclient is not installed")

SECRET = b"nobody may read this"
PLATFORMS = [None, "posix"]  # the kernel keeps names inside, where it can; they are walked one by one


@pytest.fixture(params=PLATFORMS, ids=["system", "posix"])
def server(serve, request):
    """A share with links out of it, beside a directory whose name begins like the share's."""
    server = serve(platform=request.param)
    outside = server.directory
    (outside / "canary").write_bytes(SECRET)
    (outside / "data-more").mkdir()
    (outside / "data-more/canary").write_bytes(SECRET)
    (outside / "hollow").mkdir()
    server.path("file").write_bytes(b"public")
    server.path("directory").mkdir()
    for name, target in LINKS.items():
        server.path(name).symlink_to(target.format(outside=outside))
    return server


LINKS = {
    "absolute": "{outside}/canary",
    "relative": "../canary",
    "deep": "directory/../../canary",
    "sibling": "../data-more/canary",
    "chain": "relative",
    "chain of chains": "chain",
    "absolute sibling": "{outside}/data-more/canary",
    "absolute with parents": "{outside}/data/../canary",
    "absolute, to a sibling": "{outside}/data/../data-more/canary",
    "out and back": "../data/file",
    "proc": "/proc/self/root/{outside}/canary",
    "descriptor": "/proc/self/fd/0",
    "to nothing": "../not there",
    "to nothing, absolute": "{outside}/not there",
    "loop": "loop",
}
DIRECTORY_LINKS = {
    "parent": "..",
    "absolute directory": "{outside}",
    "sibling directory": "../data-more",
    "hollow directory": "../hollow",
    "root": "/",
    "chained directory": "parent",
}
LINKS |= DIRECTORY_LINKS

OUT = [
    "..", "..\\", "..\\canary", "..\\data-more\\canary", "..\\data\\file", "directory\\..\\..\\canary",
    ".\\..\\canary", "directory\\..\\..\\data\\file",
    "file\\..\\..\\canary", "....\\canary", "...\\canary", ".. \\canary",
    "..  .\\canary", "../canary", "directory/../../canary", "directory\\../..\\canary", "..\\../canary",
    "directory/file", "/..\\canary", "\\..\\canary", "\\\\..\\canary", "\\canary", "\\", "\\\\", "/canary", "/",
    "//canary", "directory\\\\..\\canary", "{outside}/canary", "\\{outside}/canary", "{windows}\\canary",
    "{windows}\\data-more\\canary", "C:\\canary", "C:{windows}\\canary", "\\\\?\\C:\\canary", "\\??\\C:\\canary",
    "\\\\.\\canary", "\\\\server\\data\\..\\canary", "..\0", "\0..\\canary", "..\\canary\0", "..\\canary\0.txt",
    "directory\0\\..\\..\\canary", "file\0\\..\\canary", "\0", "..:stream", "..::$DATA", "..\\canary:stream",
    "..\\canary::$DATA", "file:..\\..\\canary", "file:../../canary", "file:..\\..\\canary:$DATA",
    "file::$DATA\\..\\..\\canary", "directory::$INDEX_ALLOCATION\\..\\..\\canary", ":..\\canary",
    "::$DATA\\..\\canary", "directory:\\..\\..\\canary", " ..\\canary", "%2e%2e\\canary",
    "@GMT-2020.01.01-00.00.00\\..\\..\\canary", "%2e%2e%5ccanary\\x", "..\uff3ccanary\\x", "..\u2215canary\\x",
    "\uff0e\uff0e\\canary", "\u2025\\canary", "\u2024\u2024\\canary", "..\uf026canary\\x", "\uf02f..\\canary",
    "\uf029\uf029\\canary", ".\uf029\\canary", "\uf029.\\canary", "\uf029\uf029",
    "directory\\..\uf028\\..\\..\\..\\canary",
    "\uefc0\uefae\uefc0\uefae\\canary", "\uefc0\uefaf\\canary", "..\uefc0\uefafcanary\\x",
]  # fmt: skip


def spelled(server, name):
    outside = str(server.directory)
    return name.replace("{outside}", outside).replace("{windows}", outside.replace("/", "\\"))


@pytest.fixture
def canary(server):
    """What is outside: it must be the same after the test, to the inode and the times of modification."""
    before = outside_of(server)
    assert len(before) == 5
    yield
    assert outside_of(server) == before


def outside_of(server):
    ours = {server.path(), server.directory / "log"}
    found = {}
    for path in (path for path in server.directory.rglob("*") if not ours & {path, *path.parents}):
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[path.name, path.parent.name] = stat.st_ino, stat.st_mode, stat.st_nlink, stat.st_mtime_ns, content
    return found


def attempts(client, tree, name):
    """Every way to get hold of a name; yields the status of each, 0 where there is a handle."""
    for options in (0, CreateOption.DIRECTORY_FILE, CreateOption.NON_DIRECTORY_FILE, CreateOption.OPEN_REPARSE_POINT):
        for disposition in range(CreateDisposition.OVERWRITE_IF + 1):
            for access in (Access.READ_ATTRIBUTES, Access.GENERIC_READ, Access.GENERIC_ALL, Access.DELETE):
                try:
                    file = client.create(tree, name, access=access, disposition=disposition, options=options)
                except StatusError as refusal:
                    yield refusal.status
                else:
                    client.close(file)
                    yield Status.SUCCESS


def target(name):
    """A FILE_RENAME_INFORMATION or FILE_LINK_INFORMATION that replaces what is there.  [MS-FSCC] 2.4.42.2"""
    raw = name.encode("utf-16-le", "surrogatepass")
    return struct.pack("<B7xQI", 1, 0, len(raw)) + raw


# Names ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("canary")
def test_names_that_lead_out_open_nothing(server, connect):
    client, tree = connect(server)
    for name in OUT:
        assert Status.SUCCESS not in set(attempts(client, tree, spelled(server, name))), name


@pytest.mark.usefixtures("canary")
def test_names_that_lead_out_are_no_targets(server, connect):
    client, tree = connect(server)
    file = client.create(tree, "file", access=Access.GENERIC_ALL)
    directory = client.create(tree, "directory", access=Access.GENERIC_ALL, options=CreateOption.DIRECTORY_FILE)
    names = set(OUT) - {"\\canary"}  # a whole path of the share
    for name in sorted(names):
        for opened in (file, directory):
            for information_class in (FileInfo.RENAME, FileInfo.LINK, FileInfo.RENAME_EX):
                with pytest.raises(StatusError):
                    client.set_info(opened, information_class, target(spelled(server, name)))
    assert server.path("file").read_bytes() == b"public"
    assert server.path("directory").is_dir()


@pytest.mark.usefixtures("canary")
def test_patterns_that_lead_out_list_nothing(server, connect):
    client, tree = connect(server)
    for pattern in (
        "..\\*",
        "../*",
        "..\\canary",
        "../canary",
        "\\*",
        "/*",
        "directory\\..\\..\\*",
        "..\0",
        "parent\\*",
    ):
        root = client.create(tree, "", access=Access.GENERIC_READ, options=CreateOption.DIRECTORY_FILE)
        with pytest.raises(StatusError):
            client.query_directory(root, pattern)
        client.close(root)


def test_the_parent_of_the_root_is_the_root(server, connect):
    client, tree = connect(server)
    root = client.create(tree, "", access=Access.GENERIC_READ, options=CreateOption.DIRECTORY_FILE)
    numbers = [  # FileId of FileIdBothDirectoryInformation, [MS-FSCC] 2.4.22
        struct.unpack_from("<Q", client.query_directory(root, pattern, flags=1), 96)[0] for pattern in (".", "..")
    ]
    assert numbers[0] == numbers[1] != server.directory.stat().st_ino


def test_shares_that_lead_out(server, connect):
    for share in (
        "data\\..",
        "..",
        ".",
        "data\\..\\data-more",
        "data-more",
        "data/..",
        "data/../data-more",
        "",
        "data\0",
    ):
        with pytest.raises(StatusError):
            connect(server, share=share)


# Links ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("canary")
def test_links_that_lead_out_are_not_followed(server, connect):
    client, tree = connect(server)
    for name, options, disposition, access in itertools.product(
        LINKS,
        (0, CreateOption.NON_DIRECTORY_FILE, CreateOption.DIRECTORY_FILE),
        (CreateDisposition.OPEN, CreateDisposition.OPEN_IF, CreateDisposition.OVERWRITE_IF),
        (Access.READ_ATTRIBUTES, Access.GENERIC_READ, Access.GENERIC_ALL),
    ):
        with pytest.raises(StatusError):
            client.create(tree, name, access=access, disposition=disposition, options=options)


@pytest.mark.usefixtures("canary")
def test_links_that_lead_out_are_not_passed(server, connect):
    client, tree = connect(server)
    file = client.create(tree, "file", access=Access.GENERIC_ALL)
    below = ("canary", "data-more\\canary", "data\\file", "not there", "hollow\\new")
    for path in ("\\".join(parts) for parts in itertools.product(DIRECTORY_LINKS, below)):
        assert Status.SUCCESS not in set(attempts(client, tree, path)), path
        for information_class in (FileInfo.RENAME, FileInfo.LINK):
            with pytest.raises(StatusError):
                client.set_info(file, information_class, target(path))
    assert server.path("file").read_bytes() == b"public"


def test_a_refusal_does_not_tell_what_is_outside(server, connect):
    client, tree = connect(server)
    for there, missing in (("relative", "to nothing"), ("absolute", "to nothing, absolute")):
        assert list(attempts(client, tree, there)) == list(attempts(client, tree, missing))
    for name in DIRECTORY_LINKS:
        there, missing = (list(attempts(client, tree, f"{name}\\{below}")) for below in ("canary", "not there"))
        assert there == missing, name


@pytest.mark.usefixtures("canary")
def test_a_link_itself_can_be_deleted(server, connect):
    client, tree = connect(server)
    for name in LINKS:
        options = CreateOption.OPEN_REPARSE_POINT | CreateOption.DELETE_ON_CLOSE
        client.close(client.create(tree, name, access=Access.DELETE, options=options))
    assert server.names() == ["directory", "file"]


def test_links_inside_are_followed(server, connect):
    server.path("link").symlink_to("directory/../file")
    server.path("directory/link").symlink_to("../file")
    server.path("absolute link").symlink_to(server.path("file"))
    client, tree = connect(server)
    for name in ("link", "directory\\link", "absolute link"):
        assert client.read(client.create(tree, name), 0, 100) == b"public"


@needs_smbclient
@pytest.mark.usefixtures("canary")
def test_smbclient_gets_nothing(server, smbclient, tool):
    """Nor does it change anything outside, whatever it answers."""
    changes = ("get {} got", "put ../empty {}", "rename file {} -f", "hardlink file {}", "scopy file {}", "del {}")
    enter = (
        "cd {}",
        "ls",
        "mget *",
        "get canary got",
        "put ../empty canary",
        "mkdir new",
        "cd /",
        "ls {}/*",
        "rmdir {}",
    )
    for name in (*LINKS, *(f"{link}/canary" for link in DIRECTORY_LINKS), "../canary", "directory/../../canary"):
        commands = [command.format(f'"{name}"') for command in (*changes, "prompt", *enter)]
        said = tool(smbclient.command(server, *commands), cwd=smbclient.local).stdout
        assert "NT_STATUS_" in said
        assert "data-more" not in said
    assert [path for path in smbclient.local.iterdir() if SECRET in path.read_bytes()] == []
