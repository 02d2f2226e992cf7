import contextlib
import dataclasses
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.pipes.handles import Handles
from smbport.pipes.ndr import NdrReader
from smbport.pipes.server_info import ServerInfo, ShareInfo
from smbport.pipes.srvsvc import SRVSVC
from smbport.wire.record import BadStructure

srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")
rpcrt = pytest.importorskip("impacket.dcerpc.v5.rpcrt")

ENUM_LEVELS = (0, 1, 2, 501, 502, 503)
ENUM, SESSIONS, SHARE_INFO, SERVER_INFO, DISKS, STICKY = 15, 12, 16, 21, 23, 36


@pytest.fixture
def client(connect):
    client = connect("srvsvc")
    client.bind(srvs.MSRPC_UUID_SRVS)
    return client


def call(server, operation, stub):
    return SRVSVC.operations[operation](server, NdrReader(stub, Handles()))


def numbers(*values):
    return struct.pack(f"<{len(values)}I", *values)


def enum_request(level, preferred=0xFFFFFFFF, resume=None):
    """No server name, an empty container."""
    return numbers(0, level, level, 1, 0, 0, preferred, *((0,) if resume is None else (1, resume)))


def shares_of(answer, level):
    return answer["InfoStruct"]["ShareInfo"][f"Level{level}"]["Buffer"]


def names_of(answer, level):
    return [entry[f"shi{level}_netname"][:-1] for entry in shares_of(answer, level)]


def error_of(caught):
    return caught.value.get_error_code()


class TestEnumeration:
    @pytest.mark.parametrize("level", ENUM_LEVELS)
    def test_levels(self, client, level):
        answer = srvs.hNetrShareEnum(client, level)
        assert answer["TotalEntries"] == 3
        assert answer["ResumeHandle"] == 0
        assert names_of(answer, level) == ["Data", "Ümläut", "IPC$"]

    def test_level_1(self, client):
        entry = shares_of(srvs.hNetrShareEnum(client, 1), 1)[2]
        assert (entry["shi1_type"], entry["shi1_remark"]) == (0x80000003, "Remote IPC\0")

    @pytest.mark.parametrize("level", [2, 502, 503])
    def test_full_levels(self, client, level):
        entry = shares_of(srvs.hNetrShareEnum(client, level), level)[0]
        expected = {
            "netname": "Data\0",
            "type": 0,
            "remark": "all of it\0",
            "permissions": 0,
            "max_uses": 0xFFFFFFFF,
            "current_uses": 3,
            "path": "C:\\Data\0",
            "passwd": "\0",
        }
        assert {key: entry[f"shi{level}_{key}"] for key in expected} == expected
        if level != 2:
            assert entry[f"shi{level}_security_descriptor"] == b""
        if level == 503:
            assert entry["shi503_servername"] == "*\0"

    def test_nothing_shared(self, connect, server):
        client = connect("srvsvc", dataclasses.replace(server, shares=()))
        client.bind(srvs.MSRPC_UUID_SRVS)
        answer = srvs.hNetrShareEnum(client, 1)
        assert answer["TotalEntries"] == 0
        assert names_of(answer, 1) == []

    def test_sticky_leaves_out_special_shares(self, client):
        answer = srvs.hNetrShareEnumSticky(client, 502)
        assert names_of(answer, 502) == ["Data", "Ümläut"]
        assert answer["TotalEntries"] == 2

    def test_sticky_has_no_level_501(self, client):
        with pytest.raises(srvs.DCERPCSessionError) as caught:
            srvs.hNetrShareEnumSticky(client, 501)
        assert error_of(caught) == 124

    def test_a_level_without_an_arm(self, server):
        assert call(server, ENUM, numbers(0, 7, 7)) == numbers(7, 7, 0, 0, 124)

    def test_null_container(self, server):
        with_container = call(server, ENUM, enum_request(1))
        assert call(server, ENUM, numbers(0, 1, 1, 0, 0xFFFFFFFF, 0)) == with_container

    @pytest.mark.parametrize(
        "stub",
        [
            numbers(0, 1, 2, 1, 0, 0, 0xFFFFFFFF, 0),  # two levels
            numbers(0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0xFFFFFFFF, 0),  # an entry in the request
            numbers(0, 1, 1, 1, 0xFFFFFFFF, 1, 0xFFFFFFFF, 0),
            numbers(0, 1, 1, 1, 0, 0, 0xFFFFFFFF),  # no resume handle
            numbers(1, 0xFFFFFFFF, 0, 0xFFFFFFFF),  # a server name of 8 GiB
            b"",
        ],
    )
    def test_bad_requests(self, server, stub):
        with pytest.raises(BadStructure):
            call(server, ENUM, stub)

    def test_an_empty_buffer_that_is_not_null(self, server):
        stub = numbers(0, 1, 1, 1, 0, 1, 0, 0xFFFFFFFF, 0)
        assert call(server, ENUM, stub) == call(server, ENUM, enum_request(1))


class TestResuming:
    """Row sizes at level 0: "Data" 4 + 10, "Ümläut" 4 + 14, "IPC$" 4 + 10."""

    def enumerate(self, server, preferred, resume=0):
        answer = srvs.NetrShareEnumResponse(call(server, ENUM, enum_request(0, preferred, resume)))
        return names_of(answer, 0), answer["TotalEntries"], answer["ResumeHandle"], answer["ErrorCode"]

    def test_exactly_enough(self, server):
        assert self.enumerate(server, 46) == (["Data", "Ümläut", "IPC$"], 3, 0, 0)

    def test_one_byte_short(self, server):
        assert self.enumerate(server, 45) == (["Data", "Ümläut"], 3, 2, 234)

    def test_going_on(self, server):
        assert self.enumerate(server, 14) == (["Data"], 3, 1, 234)
        assert self.enumerate(server, 18, 1) == (["Ümläut"], 2, 2, 234)
        assert self.enumerate(server, 14, 2) == (["IPC$"], 1, 0, 0)

    def test_no_room_for_the_first(self, server):
        assert self.enumerate(server, 13) == ([], 3, 0, 2123)

    @pytest.mark.parametrize("resume", [3, 4, 0xFFFFFFFF])
    def test_behind_the_last(self, server, resume):
        assert self.enumerate(server, 0xFFFFFFFF, resume) == ([], 0, 0, 0)

    def test_without_a_handle(self, server):
        answer = call(server, ENUM, enum_request(0, 14))
        assert answer[-8:] == numbers(0, 234)  # no handle to go on with, but the client is told


class TestShareInformation:
    @pytest.mark.parametrize("level", ENUM_LEVELS)
    def test_levels_without_case(self, client, level):
        answer = srvs.hNetrShareGetInfo(client, "üMLÄUT\0", level)
        assert answer["InfoStruct"][f"ShareInfo{level}"][f"shi{level}_netname"] == "Ümläut\0"

    def test_path_as_clients_see_it(self, client):
        info = srvs.hNetrShareGetInfo(client, "data\0", 2)["InfoStruct"]["ShareInfo2"]
        assert (info["shi2_path"], info["shi2_current_uses"]) == ("C:\\Data\0", 3)

    def test_flags(self, client):
        assert srvs.hNetrShareGetInfo(client, "data\0", 1005)["InfoStruct"]["ShareInfo1005"]["shi1005_flags"] == 0

    def test_unknown_share(self, client):
        with pytest.raises(srvs.DCERPCSessionError) as caught:
            srvs.hNetrShareGetInfo(client, "nothing\0", 1)
        assert error_of(caught) == 2310

    @pytest.mark.parametrize("name", ["data\0", "nothing\0"])
    def test_unknown_level_comes_first(self, client, name):
        with pytest.raises(srvs.DCERPCSessionError) as caught:
            srvs.hNetrShareGetInfo(client, name, 1006)
        assert error_of(caught) == 124


class TestServerInformation:
    @pytest.mark.parametrize("level", [100, 101, 102])
    def test_levels(self, client, level):
        info = srvs.hNetrServerGetInfo(client, level)["InfoStruct"][f"ServerInfo{level}"]
        assert (info[f"sv{level}_platform_id"], info[f"sv{level}_name"]) == (500, "FILES\0")
        if level > 100:
            assert (info[f"sv{level}_version_major"], info[f"sv{level}_version_minor"]) == (10, 0)
            assert info[f"sv{level}_comment"] == "the server\0"
            assert info[f"sv{level}_type"] == 0x9003
        if level == 102:
            assert (info["sv102_users"], info["sv102_disc"], info["sv102_hidden"]) == (0xFFFFFFFF, 15, 0)
            assert info["sv102_userpath"] == "C:\\\0"

    @pytest.mark.parametrize("level", [103, 502, 1005])
    def test_level_for_administrators(self, client, level):
        with pytest.raises(srvs.DCERPCSessionError) as caught:
            srvs.hNetrServerGetInfo(client, level)
        assert error_of(caught) == 124

    def test_a_level_without_an_arm(self, server):
        assert call(server, SERVER_INFO, numbers(0, 7)) == numbers(7, 124)


class TestGuests:
    @pytest.fixture
    def guest(self, connect, server):
        client = connect("srvsvc", dataclasses.replace(server, restricted=True))
        client.bind(srvs.MSRPC_UUID_SRVS)
        return client

    @pytest.mark.parametrize("level", [0, 1])
    def test_names_of_shares(self, guest, level):
        assert names_of(srvs.hNetrShareEnum(guest, level), level) == ["Data", "Ümläut", "IPC$"]
        assert srvs.hNetrShareGetInfo(guest, "data\0", level)["ErrorCode"] == 0

    @pytest.mark.parametrize("level", [2, 501, 502, 503])
    def test_no_more_of_all(self, guest, level):
        with pytest.raises(rpcrt.DCERPCException) as caught:
            srvs.hNetrShareEnum(guest, level)
        assert error_of(caught) == 5

    @pytest.mark.parametrize("level", [2, 502, 503])
    @pytest.mark.parametrize("name", ["data\0", "nothing\0"])
    def test_no_more_of_one(self, guest, level, name):
        with pytest.raises(rpcrt.DCERPCException) as caught:
            srvs.hNetrShareGetInfo(guest, name, level)
        assert error_of(caught) == 5

    def test_flags_of_one(self, guest):
        assert srvs.hNetrShareGetInfo(guest, "data\0", 501)["ErrorCode"] == 0


class TestDevices:
    def test_the_share_of_a_path(self, client):
        assert srvs.hNetrShareCheck(client, "c:\\DATA\0")["Type"] == 0
        assert srvs.hNetrShareCheck(client, "\0")["Type"] == 0x80000003

    def test_a_device_that_nothing_shares(self, client):
        with pytest.raises(srvs.DCERPCSessionError) as caught:
            srvs.hNetrShareCheck(client, "C:\\other\0")
        assert error_of(caught) == 2311

    def test_disks(self, server):
        request = numbers(0, 0, 0, 0, 0xFFFFFFFF, 1, 0)
        disks = numbers(1, 0x20000, 1, 0, 1, 0, 3) + b"C\0:\0\0\0" + bytes(2)
        assert call(server, DISKS, request) == disks + numbers(1, 0x20004, 0, 0)

    def test_disks_at_a_level_that_is_none(self, server):
        assert call(server, DISKS, numbers(0, 1, 0, 0, 0xFFFFFFFF, 0)) == numbers(0, 0, 0, 0, 124)

    @pytest.mark.parametrize("container", [numbers(1, 0), numbers(0, 4, 1, 0, 0), numbers(0, 4, 0, 0, 1)])
    def test_disks_in_the_request(self, server, container):
        with pytest.raises(BadStructure):
            call(server, DISKS, numbers(0, 0) + container + numbers(0xFFFFFFFF, 0))

    def test_an_empty_array_of_disks(self, server):
        empty = call(server, DISKS, numbers(0, 0, 0, 4, 0, 0, 0, 0xFFFFFFFF, 0))
        assert empty == call(server, DISKS, numbers(0, 0, 0, 0, 0xFFFFFFFF, 0))


def test_the_time(client):
    told = srvs.hNetrRemoteTOD(client)["BufferPtr"]
    names = ("elapsedt", "msecs", "hours", "mins", "secs", "hunds", "day", "month", "year", "weekday")
    assert [told[f"tod_{name}"] for name in names] == [951_825_599, 9870, 11, 59, 59, 87, 29, 2, 2000, 2]
    assert told["tod_timezone"] == 0xFFFFFFFF


class TestRefused:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda client: srvs.hNetrSessionEnum(client, "\0", "\0", 10),
            lambda client: srvs.hNetrFileEnum(client, "\0", "\0", 3),
            lambda client: srvs.hNetrConnectionEnum(client, "Data\0", 1),
        ],
    )
    def test_what_others_do(self, client, ask):
        with pytest.raises(rpcrt.DCERPCException) as caught:
            ask(client)
        assert error_of(caught) == 5

    def test_the_answer_is_complete(self, server):
        request = numbers(0, 0, 0, 10, 10, 1, 0, 0, 0xFFFFFFFF, 1, 9)
        answer = srvs.NetrSessionEnumResponse(call(server, SESSIONS, request))
        assert answer["InfoStruct"]["SessionInfo"]["Level10"]["EntriesRead"] == 0
        assert (answer["TotalEntries"], answer["ResumeHandle"], answer["ErrorCode"]) == (0, 0, 5)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda client: srvs.hNetrShareDel(client, "Data\0"),
            lambda client: srvs.hNetrServerStatisticsGet(client, "\0", 0, 0),
        ],
    )
    def test_unknown_operations(self, client, ask):
        with pytest.raises(rpcrt.DCERPCException, match="nca_s_op_rng_error"):
            ask(client)
        assert srvs.hNetrServerGetInfo(client, 100)["ErrorCode"] == 0  # and the pipe goes on


def test_surrogates_in_a_name_match_nothing(server):
    name = numbers(2, 0, 2) + b"\x00\xd8\x00\x00"
    assert call(server, SHARE_INFO, numbers(0) + name + numbers(1)) == numbers(1, 0, 2310)


@given(st.sampled_from(sorted(SRVSVC.operations)), st.binary(max_size=96))
def test_random_stubs(operation, stub):
    server = ServerInfo(
        name="S", domain="D", comment="", shares=(ShareInfo("a", 0, "", ""),), user="u", now_ns=1, start_ns=0
    )
    with contextlib.suppress(BadStructure):
        assert len(call(server, operation, stub)) % 4 == 0
