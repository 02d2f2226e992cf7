"""Scripts on many connections, against a server in this process."""

import pytest

from benchmarks import operations as op
from benchmarks import requests
from benchmarks.fleet import Step, fleet, slot
from benchmarks.logon import logged_on
from benchmarks.office import office
from benchmarks.share import DOCUMENTS, document, document_size
from smbport.wire.constants import Access, CreateDisposition, FileInfo


async def test_each_connection_goes_through_its_script(server, do, populate, gates) -> None:
    await populate("data")
    share = await do(fleet, lambda: gates.append("gate"), server, 0.001, numbers=range(3, 8), script=op.read_in_script)
    assert gates == ["gate", "gate"]
    assert share.operations == len(share.latencies_ns) >= 5


async def test_files_that_are_opened_are_used_and_closed(server, do) -> None:
    written = []

    def script(connection, number):
        name = f"file {number}"
        yield Step([requests.create(name, Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)], opens=3)
        yield Step([requests.write(0, b"x" * 70_000, slot(3))])
        yield Step([requests.read(0, 70_000, slot(3))])
        yield Step([requests.rename(f"{name} renamed", slot(3))])
        yield Step([requests.close(slot(3))])
        written.append(name)

    # Two rounds of the script: the second finds no file left open that would stand in its way.
    share = await do(fleet, lambda: None, server, 0.05, numbers=range(2), script=script)
    assert share.operations > 2 * 5
    assert written == ["file 0", "file 1"]


async def test_a_failure_names_the_step(server, do) -> None:
    def script(connection, number):
        return [Step([requests.echo()]), Step([requests.create("nothing")], opens=0)]

    with pytest.raises(ConnectionError, match="STATUS_OBJECT_NAME_NOT_FOUND to step 1"):
        await do(fleet, lambda: None, server, 60, numbers=range(1), script=script)


async def test_a_day_in_the_office_leaves_documents_as_large_as_they_were(server, do, populate) -> None:
    await populate("office")
    steps = len(office(None, 0))
    share = await do(fleet, lambda: None, server, 0.2, numbers=range(1), script=office)
    assert share.operations > 0 < steps

    def sizes() -> list[int]:
        with logged_on(server) as (client, _, tree_id):
            infos = [
                client.query_info(client.create(tree_id, document(0, index)), FileInfo.STANDARD)
                for index in range(DOCUMENTS)
            ]
            return [int.from_bytes(info[8:16], "little") for info in infos]

    assert await do(sizes) == [document_size(index) for index in range(DOCUMENTS)]


def test_the_trace_is_the_same_in_every_run() -> None:
    assert office(None, 3) == office(None, 3)
    assert office(None, 3) != office(None, 4)
