"""IOCTL: what all FSCTLs have in common."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.fsctl.table import ON_FILE, ON_PIPE, WITHOUT_OPEN
from smbport.commands.rights import FSCTLS
from smbport.wire.constants import Access, Command, FsControl
from smbport.wire.header import HEADER_SIZE
from smbport.wire.ioctl import IoctlResponse
from smbport.wire.status import Status

OBJECT_ID = FsControl.CREATE_OR_GET_OBJECT_ID


# What there is ------------------------------------------------------------------------------------------------------


def test_an_ioctl_that_is_no_fsctl(peer: Any) -> None:
    for flags in (0, 2, 3, 0xFFFFFFFF):
        assert peer.fsctl(FsControl.VALIDATE_NEGOTIATE_INFO, flags=flags)[0] == "NOT_SUPPORTED"


def test_every_fsctl_that_is_not_served(wire: Any, peer: Any) -> None:
    """Is refused the same, whatever it would do: on a file, on a directory, on a pipe."""
    file, root = peer.make("f"), peer.open("", Access.GENERIC_ALL)
    known = {code for key, code in vars(FsControl).items() if key.isupper()} | {0, 0xFFFFFFFF}
    absent = known - set(WITHOUT_OPEN) - set(FSCTLS)
    assert absent
    for code in absent:
        for opened in (file, root):
            assert peer.fsctl(code, bytes(64), file=opened)[0] == "INVALID_DEVICE_REQUEST"


def test_every_fsctl_on_an_open_that_is_none(peer: Any) -> None:
    """The open is looked for before anything else is said."""
    file = peer.make("f")
    peer.close(file)
    for code in (*ON_FILE, *ON_PIPE, 0):
        assert peer.fsctl(code, file=file)[0] == "FILE_CLOSED"
        assert peer.fsctl(code)[0] == "FILE_CLOSED"


def test_an_open_needs_its_tree(peer: Any) -> None:
    file = peer.make("f")
    peer.tree = 99
    assert peer.fsctl(OBJECT_ID, file=file)[0] == "NETWORK_NAME_DELETED"


def test_a_tree_that_must_be_sealed(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(share={"encryption": "required"}).connect()
    assert peer.fsctl(OBJECT_ID)[0] == "ACCESS_DENIED"
    peer.seal = True
    assert peer.fsctl(OBJECT_ID, file=peer.make("f"), room=64)[0] == "SUCCESS"


@pytest.mark.parametrize("field", ["max_output_response", "max_input_response"])
def test_more_than_was_negotiated(wire: Any, field: str) -> None:
    peer = wire.connect()
    limit = wire.server.settings.limits.transact_size
    file = peer.make("f")
    if field == "max_output_response":
        assert peer.fsctl(OBJECT_ID, file=file, room=limit)[0] == "SUCCESS"
        assert peer.fsctl(OBJECT_ID, file=file, room=limit + 1)[0] == "INVALID_PARAMETER"
    else:
        assert peer.fsctl(OBJECT_ID, file=file, max_input_response=limit + 1)[0] == "INVALID_PARAMETER"


def test_more_input_than_was_negotiated(wire: Any) -> None:
    peer = wire.connect(dialect=0x0202)
    file = peer.make("f")
    assert peer.fsctl(OBJECT_ID, bytes(65536), file=file)[0] == "SUCCESS"
    assert peer.fsctl(OBJECT_ID, bytes(65537), file=file)[0] == "INVALID_PARAMETER"


def test_a_request_that_lies(peer: Any) -> None:
    whole = peer.fsctl_body(OBJECT_ID, bytes(16), file=peer.make("f"))
    lies = peer.lie(Command.IOCTL, whole, least=len(whole), fields=[(24, 4, 28, 4)])
    assert lies == {Status.INVALID_PARAMETER}


def test_the_file_is_told_back(peer: Any) -> None:
    _, frame = peer.ask(Command.IOCTL, peer.fsctl_body(OBJECT_ID, file=peer.make("f")), tree_id=peer.tree)
    response = IoctlResponse.unpack_from(frame, HEADER_SIZE)
    assert response.file_id_volatile not in (0, (1 << 64) - 1)
    assert response.flags == 0


def test_what_is_asked_of_no_open_is_not_asked_of_one(peer: Any) -> None:
    file = peer.make("f")
    for code in WITHOUT_OPEN:
        assert peer.fsctl(code, file=file)[0] == "INVALID_PARAMETER"


def test_pipes_have_other_fsctls_than_files(wire: Any, peer: Any) -> None:
    pipes = wire.connect(share="IPC$")
    pipe = pipes.create(pipes.tree, "srvsvc", access=Access.GENERIC_ALL)
    file, root = peer.make("f"), peer.open("", Access.GENERIC_ALL)
    for code in ON_FILE:
        assert pipes.fsctl(code, bytes(64), file=pipe)[0] == "INVALID_DEVICE_REQUEST"
    for code in ON_PIPE:
        assert {peer.fsctl(code, bytes(64), file=opened)[0] for opened in (file, root)} == {"INVALID_DEVICE_REQUEST"}


def test_the_open_is_let_go_whatever_comes_of_it(wire: Any, peer: Any) -> None:
    file = peer.make("f")
    for code in ON_FILE:
        peer.fsctl(code, file=file)
    opened = next(iter(peer.connection.state.channels.values())).session.opens[file.volatile]
    assert opened.pins == 0
