"""The whole connection as one function of bytes: whatever comes, an answer or a Disconnect, never anything else.

`drive(data)` reads a little program from `data`: log on or not, then requests that are whole, mutated or noise,
signed after the mutation so that they get past the signature.  Hypothesis calls it in the test-suite; atheris
can call it for hours:

    python tests/fuzz/run_atheris.py
"""

from collections.abc import Callable

from smbport.compression import ALGORITHMS, compress
from smbport.state.settings import Limits, Settings, ShareSettings
from smbport.testing.client import Client, DirectLink, FileId
from smbport.testing.direct import DirectConnection, new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.change import ChangeNotifyRequest
from smbport.wire.compression import Segment, chained_head, pack_segment, unchained_head
from smbport.wire.constants import (
    Access,
    Command,
    CompressionAlgorithm,
    ContextTag,
    CreateDisposition,
    FileInfo,
    FsControl,
    HeaderFlag,
    NegotiateContextType,
)
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.create_contexts import LeaseContext
from smbport.wire.directory import QueryDirectoryRequest, pack_query_directory_request
from smbport.wire.echo import EchoRequest
from smbport.wire.file import (
    CloseRequest,
    FlushRequest,
    ReadRequest,
    WriteRequest,
    pack_read_request,
    pack_write_request,
)
from smbport.wire.fscc import FileEndOfFileInformation, FileRenameInformation, pack_with_name
from smbport.wire.info import QueryInfoRequest, SetInfoRequest, pack_query_info_request, pack_set_info_request
from smbport.wire.ioctl import IoctlRequest, pack_ioctl_request
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.negotiate import NegotiateRequest, pack_negotiate_request, pack_posix_context
from smbport.wire.session import LogoffRequest, SessionSetupRequest, pack_session_setup_request
from smbport.wire.status import Disconnect
from smbport.wire.tree import TreeDisconnectRequest, pack_tree_connect_request

__all__ = ["Program", "drive"]

COMPRESSION = (CompressionAlgorithm.PATTERN_V1, *ALGORITHMS)
USERS = MemoryUsers({"fuzz": "fuzz"})
SETTINGS = Settings(
    server_guid=b"fuzzfuzzfuzzfuzz",
    shares=(ShareSettings(name="data", path="fuzz", run_as="server", compression=True),),
    limits=Limits(failed_logon_delay_s=0),
)


class Program:
    """Numbers read from bytes; zeroes when they run out."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def is_over(self) -> bool:
        return self._position >= len(self._data)

    def number(self, limit: int) -> int:
        """0 <= n < limit"""
        width = (max(limit - 1, 1).bit_length() + 7) // 8
        piece = self._data[self._position : self._position + width]
        self._position += width
        return int.from_bytes(piece, "little") % limit

    def bytes(self, limit: int) -> bytes:
        length = self.number(limit)
        piece = self._data[self._position : self._position + length]
        self._position += length
        return piece


def drive(data: bytes) -> None:
    """Run one program.  Raises whatever is a bug."""
    program = Program(data)
    platform = MemoryPlatform()
    server = new_server(SETTINGS, platform, USERS)
    connection = DirectConnection(server)
    client = Client(DirectLink(connection), client_guid=b"clientclientguid")
    try:
        if program.number(4):
            dialects = ((0x0311,), (0x0202,), (0x0210,), (0x0300,), (0x0302,))
            more = [(NegotiateContextType.POSIX_EXTENSIONS, pack_posix_context())] if program.number(2) else []
            client.negotiate(dialects[program.number(len(dialects))], compression=COMPRESSION, more_contexts=more)
            client.log_on("fuzz", "fuzz")
            client.seal = bool(program.number(2))
            tree_id = client.tree_connect("data")
            opened = client.create(tree_id, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)
        else:
            tree_id, opened = 1, FileId(1, 1, 1)
        while not program.is_over:
            connection.receive(_frame(program, client, tree_id, opened))
            connection.resume(expire=bool(program.number(2)))
    except Disconnect:
        pass
    connection.close()
    _check_nothing_is_left(server, platform)


def _check_nothing_is_left(server: object, platform: MemoryPlatform) -> None:
    """The client is gone: so is everything it had."""
    assert not server.sessions, "a session outlived its connection"  # type: ignore[attr-defined]
    assert server.open_count == 0, "an open outlived its session"  # type: ignore[attr-defined]
    assert len(server.files) == 0, "a shared file outlived its opens"  # type: ignore[attr-defined]
    assert platform.open_handles == 0, "a platform handle leaked"


def _frame(program: Program, client: Client, tree_id: int, opened: FileId) -> bytes:
    """One frame: noise, or a compound of one to three requests, each mutated or not."""
    if program.number(64) == 1:
        return program.bytes(400)
    elements = []
    for index in range(1 + program.number(3)):
        command, body = _BODIES[program.number(len(_BODIES))](program, tree_id, opened)
        flags = HeaderFlag.RELATED_OPERATIONS if index and program.number(2) else 0
        message = client.message(command, body, tree_id=tree_id, flags=flags)
        _mutate(program, message)
        elements.append(message)
    whole = _chain(program, client, elements)
    if program.number(64) == 1:
        return bytes(whole[: program.number(len(whole) + 1)])
    if client.compression and program.number(8) == 1:
        whole = _compress(program, whole)
    return client.protect(whole) if client.seal else bytes(whole)


def _compress(program: Program, message: bytearray) -> bytearray:
    """A compressed message, with a byte that is another one or not."""
    plain, algorithm = bytes(message), ALGORITHMS[program.number(len(ALGORITHMS))]
    packed = compress(algorithm, plain)
    if program.number(2):
        segment = Segment(algorithm, packed, len(plain))
        out = bytearray(chained_head(b"", len(plain)) + pack_segment(segment) + program.bytes(30))
    else:
        out = bytearray(unchained_head(b"", algorithm, len(plain)) + packed)
    if program.number(2):
        out[program.number(len(out))] = program.number(256)
    return out


def _chain(program: Program, client: Client, elements: list[bytearray]) -> bytearray:
    """Link the elements and sign each, as a client does that does not seal."""
    whole = bytearray()
    for index, element in enumerate(elements):
        if index < len(elements) - 1:
            element += bytes(-len(element) % 8)
            following = len(element) if program.number(32) != 1 else program.number(1 << 32)
            element[20:24] = following.to_bytes(4, "little")
        whole += element if client.seal or len(element) < 64 else client.protect(element)
    return whole


def _mutate(program: Program, message: bytearray) -> None:
    """Up to three lies: a byte, a 16- or 32-bit field with a telling value, or an end that comes too soon."""
    for _ in range(max(program.number(6) - 2, 0)):
        kind, at = program.number(4), program.number(len(message))
        if at < 64 and program.number(16) != 1:  # most lies in the header end the connection: tell more in the body
            at = min(64 + at, len(message) - 1)
        if kind == 0:
            message[at] = program.number(256)
        elif kind == 1:
            message[at : at + 2] = TELLING_16[program.number(len(TELLING_16))].to_bytes(2, "little")
        elif kind == 2:
            message[at : at + 4] = TELLING_32[program.number(len(TELLING_32))].to_bytes(4, "little")
        elif at >= 64:
            del message[at:]


TELLING_16 = (0, 1, 2, 63, 64, 65, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
TELLING_32 = (0, 1, 64, 0x7FFF, 0xFFFF, 0x10000, 0x10001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF)

Body = tuple[int, bytes]
_WHOLE = {"file_id_persistent": 0, "file_id_volatile": 0}


def _ids(program: Program, opened: FileId) -> dict[str, int]:
    if program.number(4) == 0:
        return {"file_id_persistent": (1 << 64) - 1, "file_id_volatile": (1 << 64) - 1}
    return {"file_id_persistent": opened.persistent, "file_id_volatile": opened.volatile}


def _create(program: Program, tree_id: int, opened: FileId) -> Body:
    names = ("f", "g", "d", "d\\x", "", "..\\e", "a:b", "\\lead", "\ud800", "srvsvc", "F", "x" * 300)
    name = names[program.number(len(names))].encode("utf-16-le", "surrogatepass").decode("latin-1")
    request = CreateRequest(
        requested_oplock_level=program.number(256), impersonation_level=program.number(5),
        desired_access=TELLING_ACCESS[program.number(len(TELLING_ACCESS))], file_attributes=program.number(0x200),
        share_access=program.number(9), create_disposition=program.number(8),
        create_options=TELLING_OPTIONS[program.number(len(TELLING_OPTIONS))],
    )  # fmt: skip
    contexts = [
        (b"MxAc", b""), (b"QFid", b""), (b"AlSi", program.bytes(9)), (b"TWrp", program.bytes(9)),
        (b"RqLs", LeaseContext(lease_key=bytes(16), lease_state=7).pack()), (b"DHnQ", bytes(16)),
        (ContextTag.POSIX, (0o644).to_bytes(4, "little")), (b"ExtA", program.bytes(40)), (b"SecD", program.bytes(60)),
        (b"DH2C", program.bytes(40)),
    ][: program.number(11)]  # fmt: skip
    body = pack_create_request(request, "n" * (len(name) // 2), contexts)
    return Command.CREATE, body.replace(("n" * (len(name) // 2)).encode("utf-16-le"), name.encode("latin-1"), 1)


TELLING_ACCESS = (
    Access.GENERIC_ALL, Access.GENERIC_READ, Access.MAXIMUM_ALLOWED, Access.DELETE, Access.READ_ATTRIBUTES, 0,
    0xFFFFFFFF, Access.ACCESS_SYSTEM_SECURITY, Access.APPEND_DATA,
)  # fmt: skip
TELLING_OPTIONS = (0, 1, 0x40, 0x41, 0x1000, 0x1001, 0x2000, 0x200000, 0xFFFFFFFF, 0x1040, 2)


def _read(program: Program, tree_id: int, opened: FileId) -> Body:
    request = ReadRequest(length=program.number(1 << 17), offset=program.number(1 << 64), **_ids(program, opened))
    return Command.READ, pack_read_request(request)


def _write(program: Program, tree_id: int, opened: FileId) -> Body:
    offset = program.number(1 << 20) if program.number(8) else program.number(1 << 64)
    request = WriteRequest(offset=offset, flags=program.number(4), **_ids(program, opened))
    return Command.WRITE, pack_write_request(request, program.bytes(300))


def _close(program: Program, tree_id: int, opened: FileId) -> Body:
    return Command.CLOSE, CloseRequest(flags=program.number(3), **_ids(program, opened)).pack()


def _flush(program: Program, tree_id: int, opened: FileId) -> Body:
    return Command.FLUSH, FlushRequest(**_ids(program, opened)).pack()


def _lock(program: Program, tree_id: int, opened: FileId) -> Body:
    elements = [
        LockElement(offset=program.number(1 << 64), length=program.number(1 << 64), flags=program.number(0x20))
        for _ in range(program.number(4))
    ]
    return Command.LOCK, pack_lock_request(LockRequest(**_ids(program, opened)), elements)


def _ioctl(program: Program, tree_id: int, opened: FileId) -> Body:
    codes = [code for key, code in vars(FsControl).items() if key.isupper()]
    request = IoctlRequest(
        ctl_code=codes[program.number(len(codes))], max_output_response=program.number(70000), **_ids(program, opened)
    )
    return Command.IOCTL, pack_ioctl_request(request, program.bytes(200))


def _query_directory(program: Program, tree_id: int, opened: FileId) -> Body:
    patterns = ("*", "", "f", "*.*", "<", '>"', "*a" * 40 + "b", "d\\*")
    request = QueryDirectoryRequest(
        file_information_class=program.number(100), flags=program.number(32), file_index=program.number(4),
        output_buffer_length=program.number(70000), **_ids(program, opened),
    )  # fmt: skip
    return Command.QUERY_DIRECTORY, pack_query_directory_request(request, patterns[program.number(len(patterns))])


def _query_info(program: Program, tree_id: int, opened: FileId) -> Body:
    request = QueryInfoRequest(
        info_type=program.number(6), file_info_class=program.number(102), output_buffer_length=program.number(70000),
        additional_information=program.number(64), **_ids(program, opened),
    )  # fmt: skip
    return Command.QUERY_INFO, pack_query_info_request(request, program.bytes(60))


def _set_info(program: Program, tree_id: int, opened: FileId) -> Body:
    buffers: tuple[tuple[int, bytes], ...] = (
        (FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=program.number(1 << 40)).pack()),
        (FileInfo.RENAME, pack_with_name(FileRenameInformation(replace_if_exists=1, root_directory=0), "g")),
        (FileInfo.DISPOSITION, b"\x01"),
        (program.number(102), program.bytes(120)),
    )
    info_class, data = buffers[program.number(len(buffers))]
    request = SetInfoRequest(
        info_type=1 + program.number(4) if program.number(4) == 1 else 1, file_info_class=info_class,
        additional_information=program.number(16), **_ids(program, opened),
    )  # fmt: skip
    return Command.SET_INFO, pack_set_info_request(request, data)


def _negotiate(program: Program, tree_id: int, opened: FileId) -> Body:
    request = NegotiateRequest(security_mode=1, capabilities=program.number(256), client_guid=bytes(16))
    contexts = [(program.number(10), program.bytes(40)) for _ in range(program.number(4))]
    return Command.NEGOTIATE, pack_negotiate_request(request, (0x0202, 0x0311)[: program.number(3)], contexts)


def _session_setup(program: Program, tree_id: int, opened: FileId) -> Body:
    request = SessionSetupRequest(flags=program.number(2), security_mode=1, previous_session_id=program.number(4))
    token = (b"NTLMSSP\0\x01\0\0\0" if program.number(2) else b"") + program.bytes(200)
    return Command.SESSION_SETUP, pack_session_setup_request(request, token)


def _notify(program: Program, tree_id: int, opened: FileId) -> Body:
    request = ChangeNotifyRequest(
        flags=0, output_buffer_length=program.number(70000), completion_filter=program.number(4096),
        **_ids(program, opened),
    )  # fmt: skip
    return Command.CHANGE_NOTIFY, request.pack()


def _plain(command: int, body: bytes) -> Callable[[Program, int, FileId], Body]:
    return lambda program, tree_id, opened: (command, body)


_BODIES: tuple[Callable[[Program, int, FileId], Body], ...] = (
    _create, _create, _create, _read, _write, _close, _flush, _lock, _lock, _ioctl, _query_directory, _query_info,
    _set_info, _set_info, _session_setup, _notify, _read, _write, _close, _query_directory, _query_info, _query_info,
    _plain(Command.ECHO, EchoRequest().pack()),
    _plain(Command.CANCEL, EchoRequest().pack()),
    _plain(Command.LOGOFF, LogoffRequest().pack()),
    _plain(Command.TREE_DISCONNECT, TreeDisconnectRequest().pack()),
    _plain(Command.TREE_CONNECT, pack_tree_connect_request("\\\\s\\data")),
    _plain(Command.TREE_CONNECT, pack_tree_connect_request("\\\\s\\IPC$")),
    _plain(Command.OPLOCK_BREAK, bytes.fromhex("18000000000000000100000000000000 0100000000000000".replace(" ", ""))),
    _plain(0x99, b"\x04\0\0\0"),
    _negotiate,
)  # fmt: skip
