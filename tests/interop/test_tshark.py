"""Wireshark's dissector reads what the server sends, verifies its signatures and opens its seals."""

import re
import shutil
import socket
import subprocess
import threading
import uuid
from contextlib import contextmanager

import pytest

from smbport.wire.constants import Cipher, Command, SigningAlgorithm
from smbport.wire.status import Status

pytest.importorskip("smbprotocol", reason="smbprotocol is not installed")

from smbprotocol import exceptions
from smbprotocol.connection import Connection, Dialects
from smbprotocol.file_info import FileInformationClass
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    LockFlags,
    Open,
    ShareAccess,
    SMB2LockElement,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

TOOLS = ("smbclient", "dumpcap", "tshark")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

DIALECTS = {
    "SMB2_02": Dialects.SMB_2_0_2,
    "SMB2_10": Dialects.SMB_2_1_0,
    "SMB3_00": Dialects.SMB_3_0_0,
    "SMB3_02": Dialects.SMB_3_0_2,
    "SMB3_11": Dialects.SMB_3_1_1,
}
CIPHERS = {
    "AES-128-CCM": Cipher.AES_128_CCM,
    "AES-128-GCM": Cipher.AES_128_GCM,
    "AES-256-CCM": Cipher.AES_256_CCM,
    "AES-256-GCM": Cipher.AES_256_GCM,
}
# Wireshark 4.0 cannot verify AES-GMAC yet.
SIGNING = {"SMB3_11": [SigningAlgorithm.AES_CMAC]}
INVALID_SIGNATURES = re.compile(r"\t(Invalid Signature,?)+$").search
ANSWERED = set(range(19)) - {Command.CANCEL, Command.IOCTL, Command.CHANGE_NOTIFY, Command.OPLOCK_BREAK}
EVERYBODY = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
END = b"the scenario is over"
PATIENCE_S = 60


@contextmanager
def captured(server, file):
    """Record into `file` what passes between the server and its clients."""
    packets = f"host {server.host} and (tcp port {server.port} or udp port {server.port})"
    command = ["dumpcap", "-q", "-B", "32", "-i", "lo", "-f", packets, "-w", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        said = [process.stderr.readline()]
        while said[-1] and not said[-1].startswith(b"File:"):
            said.append(process.stderr.readline())
        if not said[-1]:
            pytest.skip(f"dumpcap cannot capture here: {b''.join(said).decode()}")
        ended = threading.Event()
        keeper = threading.Thread(target=keep, args=(process.stdout, file, ended))
        keeper.start()
        try:
            yield
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mark:
                mark.sendto(END, (server.host, server.port))
            assert ended.wait(PATIENCE_S)
        finally:
            process.terminate()
            keeper.join()


def keep(pipe, file, ended):
    """Write everything from the pipe to the file; set the event when the mark was seen."""
    seen = b""
    with file.open("wb") as kept:
        while data := pipe.read1():
            kept.write(data)
            seen = (seen + data)[-len(data) - len(END) :]
            if END in seen:
                ended.set()


def run_smbclient(smbclient, server, dialect, *options):
    options = [f"--option=client {end} protocol={dialect}" for end in ("min", "max")] + list(options)
    (smbclient.local / "up").write_bytes(b"x" * 200_000)
    smbclient(
        server, "put up", "ls", "allinfo up", "get up down", "mkdir d", "rename up d/up", "hardlink d/up other",
        "utimes other -1 -1 2003:04:05-06:07:08 -1", "setmode other +h", "showacls", "ls", "showacls", "du", "volume",
        "scopy other new", "del other", "deltree d", "del new",
        options=options,
    )  # fmt: skip
    smbclient(server, "ls nothing", options=options, refused="NT_STATUS_NO_SUCH_FILE")


def run_smbprotocol(server, dialect, *, seal, signing, ciphers):
    connection = Connection(uuid.uuid4(), server.host, server.port)
    connection.connect(DIALECTS[dialect], preferred_encryption_algos=ciphers, preferred_signing_algos=signing)
    try:
        session = Session(connection, server.user, server.password, require_encryption=seal, auth_protocol="ntlm")
        session.connect()
        tree = TreeConnect(session, rf"\\{server.host}\data")
        tree.connect()
        connection.echo(credit_request=64)
        run_files(connection, session, tree)
        tree.disconnect()
        session.disconnect()
    finally:
        connection.disconnect()


def run_files(connection, session, tree):
    """Compounds that succeed and fail, listings, locks that wait and are cancelled."""

    def compound(*calls):
        ids = session.session_id, tree.tree_connect_id
        requests = connection.send_compound([call[0] for call in calls], *ids, related=True)
        return [receive(request) for (_, receive), request in zip(calls, requests, strict=True)]

    file, create = request_for(tree, "file", CreateDisposition.FILE_CREATE)
    compound(create, file.write(b"hello", send=False), file.flush(send=False))
    file.lock([lock()])
    other, create = request_for(tree, "file", CreateDisposition.FILE_OPEN)
    compound(create)
    waiting = connection.send(other.lock([lock()], send=False)[0], session.session_id, tree.tree_connect_id)
    assert waiting.response_event.wait(PATIENCE_S)
    waiting.cancel()
    with pytest.raises(exceptions.SMBResponseException) as raised:
        connection.receive(waiting)
    assert raised.value.status == Status.CANCELLED
    compound(other.close(send=False))
    compound(file.read(0, 5, send=False), file.close(True, send=False))
    missing, create = request_for(tree, "missing", CreateDisposition.FILE_OPEN)
    with pytest.raises(exceptions.ObjectNameNotFound):
        compound(create, missing.read(0, 5, send=False), missing.close(send=False))
    directory, create = request_for(tree, "", CreateDisposition.FILE_OPEN, CreateOptions.FILE_DIRECTORY_FILE)
    compound(create)
    for kind in ("", "FULL_", "BOTH_", "ID_BOTH_", "ID_FULL_"):
        information_class = getattr(FileInformationClass, f"FILE_{kind}DIRECTORY_INFORMATION")
        directory.query_directory("*", information_class, flags=1)
    directory.close()


def request_for(tree, name, disposition, options=CreateOptions.FILE_NON_DIRECTORY_FILE):
    """A file that is not open yet, and what opens it."""
    file = Open(tree, name)
    return file, file.create(
        ImpersonationLevel.Impersonation, FilePipePrinterAccessMask.GENERIC_ALL, FileAttributes.FILE_ATTRIBUTE_NORMAL,
        EVERYBODY, disposition, options, send=False,
    )  # fmt: skip


def lock():
    element = SMB2LockElement()
    element["offset"], element["length"], element["flags"] = 0, 10, LockFlags.SMB2_LOCKFLAG_EXCLUSIVE_LOCK
    return element


def dissect(tool, file, server, wanted, *fields):
    """The lines that tshark prints for the packets that are wanted."""
    done = tool([
        "tshark", "-r", str(file), "-o", f"ntlmssp.nt_password:{server.password}", "-o", "smb2.verify_signatures:TRUE",
        "-Y", wanted, *(["-T", "fields", *(word for field in fields for word in ("-e", field))] if fields else []),
    ])  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def check(tool, file, server, *, sealed):
    faults = dissect(tool, file, server, "_ws.malformed || _ws.expert.severity == error", "frame", "_ws.expert.message")
    # Wireshark 4.0 takes the rest of a compound for a part of each message in it, on either side.
    compounds = set(dissect(tool, file, server, "smb2.chain_offset > 0", "frame", "_ws.expert.message"))
    assert [fault for fault in faults if fault not in compounds or not INVALID_SIGNATURES(fault)] == []
    commands = dissect(tool, file, server, "smb2.flags.response == 1", "smb2.cmd")
    assert {int(number) for line in commands for number in line.split(",")} >= ANSWERED
    transforms = dissect(tool, file, server, "smb2.protocol_id == 0xfd534d42", "smb2.cmd")
    assert bool(transforms) is sealed
    assert all(transforms), "tshark could not open a seal"
    if not sealed:
        assert len(dissect(tool, file, server, "smb2.good_signature")) > 100


def test_referrals(serve, smbclient, tool, tmp_path, standard_address):
    links = {"near": [f"//{standard_address}/other/folder"], "deep/far": ["//192.0.2.1/x", "//192.0.2.2/x"]}
    shares = {"data": {"dfs": links}, "other": {}}
    server = serve(host=standard_address, port=445, shares=shares, server={"signing_algorithms": ["aes-cmac"]})
    server.path("folder", share="other").mkdir()
    with captured(server, tmp_path / "capture"):
        smbclient(server, "cd near", "put ../empty new", "ls")
    capture = tmp_path / "capture"
    assert dissect(tool, capture, server, "_ws.malformed || _ws.expert.severity == error", "frame") == []
    found = dissect(tool, capture, server, "smb.dfs.referral.version", "smb.dfs.referral.path", "smb.dfs.referral.node")
    assert f"\\{standard_address}\\data\\near\t\\{standard_address}\\other\\folder" in found
    assert [path.name for path in server.path("folder", share="other").iterdir()] == ["new"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_signed_sessions(serve, smbclient, tool, tmp_path, standard_address, dialect):
    server = serve(host=standard_address, port=445, server={"signing_algorithms": ["aes-cmac"]})
    with captured(server, tmp_path / "capture"):
        run_smbclient(smbclient, server, dialect)
        run_smbprotocol(server, dialect, seal=False, signing=SIGNING.get(dialect), ciphers=None)
    check(tool, tmp_path / "capture", server, sealed=False)


@pytest.mark.parametrize(
    ("dialect", "cipher"), [("SMB3_00", "AES-128-CCM"), *(("SMB3_11", cipher) for cipher in CIPHERS)]
)
def test_sealed_sessions(serve, smbclient, tool, tmp_path, standard_address, dialect, cipher):
    server = serve(host=standard_address, port=445, server={"ciphers": [cipher.lower()]})
    with captured(server, tmp_path / "capture"):
        run_smbclient(smbclient, server, dialect, "--client-protection=encrypt")
        run_smbprotocol(server, dialect, seal=True, signing=None, ciphers=[CIPHERS[cipher]])
    check(tool, tmp_path / "capture", server, sealed=True)
