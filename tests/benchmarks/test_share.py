"""What rows work on."""

import os

from benchmarks.logon import logged_on
from benchmarks.share import FILE, FILE_SIZE, directory, document, document_size, entry, make
from smbport.wire.constants import FileInfo


def size(client, tree_id, name: str) -> int:
    info = client.query_info(client.create(tree_id, name), FileInfo.STANDARD)
    return int.from_bytes(info[8:16], "little")


async def test_it_is_made_through_the_server(server, do, populate) -> None:
    await populate("data", "office", "entries-1000")

    def sizes() -> list[int]:
        with logged_on(server) as (client, _, tree_id):
            return [size(client, tree_id, name) for name in (FILE, document(7, 0), document(0, 5), entry(1000, 999))]

    assert await do(sizes) == [FILE_SIZE, document_size(0), document_size(5), 0]


async def test_what_is_there_is_not_made_again(server, do, populate) -> None:
    await populate("entries-1000")

    def make_again() -> bool:
        with logged_on(server) as connection:
            make(connection, "entries-1000", None)
            return (
                connection.client.query_directory(connection.client.create(connection.tree_id, directory(1000))).count(
                    "entry".encode("utf-16-le")
                )
                > 0
            )

    assert await do(make_again)


async def test_many_files_are_made_beside_the_server_like_the_first(server, do, tmp_path) -> None:
    folder = tmp_path / directory(1000)
    folder.mkdir()
    first = folder / "entry 000000.txt"
    first.touch()
    first.chmod(0o640)
    os.setxattr(first, "user.DOSATTRIB", b"0x20")

    def make_it() -> None:
        with logged_on(server) as connection:
            make(connection, "entries-1000", tmp_path)

    await do(make_it)
    made = sorted(folder.iterdir())
    assert len(made) == 1000
    assert {path.stat().st_mode & 0o777 for path in made} == {0o640}
    assert {os.getxattr(path, "user.DOSATTRIB") for path in made} == {b"0x20"}
