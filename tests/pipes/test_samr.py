from dataclasses import replace

import pytest

from smbport.pipes.handles import Handles
from smbport.pipes.ndr import NdrReader
from smbport.pipes.samr import SAMR
from smbport.security.auth import UserRecord
from smbport.security.names import Names
from smbport.wire.record import BadStructure
from smbport.wire.security import WellKnownSid
from smbport.wire.status import Status

samr = pytest.importorskip("impacket.dcerpc.v5.samr")
dtypes = pytest.importorskip("impacket.dcerpc.v5.dtypes")

ALL = 0x02000000


def names_with(users):
    return Names(machine_id=(1, 2, 3), server="FILES", users=users, unix_users={}, unix_groups={})


@pytest.fixture
def known(server):
    users = (UserRecord("alice", bytes(16), rid=1000), UserRecord("bob", bytes(16), disabled=True, rid=1001))
    return replace(server, names=names_with(users))


@pytest.fixture
def bound(connect):
    def bound(server):
        client = connect("samr", server=server)
        client.bind(samr.MSRPC_UUID_SAMR)
        return client

    return bound


@pytest.fixture
def client(bound, known):
    return bound(known)


@pytest.fixture
def connection(client):
    return samr.hSamrConnect(client)["ServerHandle"]


def open_domain(client, connection, name):
    sid = samr.hSamrLookupDomainInSamServer(client, connection, name)["DomainId"]
    return samr.hSamrOpenDomain(client, connection, domainId=sid)["DomainHandle"]


@pytest.fixture
def domain(client, connection):
    return open_domain(client, connection, "files")


@pytest.fixture
def builtin(client, connection):
    return open_domain(client, connection, "Builtin")


def refusal(action):
    with pytest.raises(samr.DCERPCException) as caught:
        action()
    return caught.value.get_error_code()


def entries(answer):
    return [(each["RelativeId"], each["Name"]) for each in answer["Buffer"]["Buffer"]]


def test_all_ways_to_connect(client):
    assert samr.hSamrConnect2(client)["ErrorCode"] == 0
    assert samr.hSamrConnect4(client)["ErrorCode"] == 0
    handle = samr.hSamrConnect5(client)["ServerHandle"]
    assert samr.hSamrCloseHandle(client, handle)["ErrorCode"] == 0


def test_the_anonymous_learn_nothing(bound, server):
    client = bound(server)
    assert refusal(lambda: samr.hSamrConnect(client)) == Status.ACCESS_DENIED
    assert refusal(lambda: samr.hSamrConnect5(client)) == Status.ACCESS_DENIED


def test_the_domains(client, connection):
    answer = samr.hSamrEnumerateDomainsInSamServer(client, connection)
    assert [each["Name"] for each in answer["Buffer"]["Buffer"]] == ["FILES", "Builtin"]
    assert refusal(lambda: samr.hSamrLookupDomainInSamServer(client, connection, "x")) == 0xC00000DF
    sid = dtypes.RPC_SID()
    sid.fromCanonical("S-1-5-21-9-9-9")
    assert refusal(lambda: samr.hSamrOpenDomain(client, connection, domainId=sid)) == 0xC00000DF


def test_what_is_in_them(client, domain, builtin):
    assert entries(samr.hSamrEnumerateUsersInDomain(client, domain)) == [(1000, "alice"), (1001, "bob")]
    assert entries(samr.hSamrEnumerateGroupsInDomain(client, domain)) == [(513, "None")]
    assert entries(samr.hSamrEnumerateAliasesInDomain(client, domain)) == []
    aliases = samr.hSamrEnumerateAliasesInDomain(client, builtin)
    assert entries(aliases) == [(544, "Administrators"), (545, "Users"), (546, "Guests")]
    assert entries(samr.hSamrEnumerateUsersInDomain(client, builtin)) == []
    assert entries(samr.hSamrEnumerateGroupsInDomain(client, builtin)) == []
    machines = samr.hSamrEnumerateUsersInDomain(client, domain, samr.USER_WORKSTATION_TRUST_ACCOUNT)
    assert entries(machines) == []


def test_a_long_list_comes_in_pages(bound, server):
    users = tuple(UserRecord(f"user{rid}", bytes(16), rid=rid) for rid in range(1000, 1300))
    client = bound(replace(server, names=names_with(users)))
    domain = open_domain(client, samr.hSamrConnect(client)["ServerHandle"], "FILES")
    with pytest.raises(samr.DCERPCException) as caught:
        samr.hSamrEnumerateUsersInDomain(client, domain)
    first = caught.value.get_packet()
    assert caught.value.get_error_code() == 0x105
    assert len(entries(first)) == 256
    rest = samr.hSamrEnumerateUsersInDomain(client, domain, enumerationContext=first["EnumerationContext"])
    assert entries(rest)[0] == (1256, "user1256")
    assert len(entries(rest)) == 44


def test_look_up(client, domain, builtin):
    answer = samr.hSamrLookupNamesInDomain(client, domain, ["ALICE", "none"])
    assert [each["Data"] for each in answer["RelativeIds"]["Element"]] == [1000, 513]
    assert [each["Data"] for each in answer["Use"]["Element"]] == [1, 2]
    answer = samr.hSamrLookupIdsInDomain(client, builtin, [544])
    assert [each["Data"] for each in answer["Names"]["Element"]] == ["Administrators"]
    assert refusal(lambda: samr.hSamrLookupNamesInDomain(client, domain, ["alice", "x"])) == 0x107
    assert refusal(lambda: samr.hSamrLookupNamesInDomain(client, domain, ["Administrators"])) == Status.NONE_MAPPED
    assert refusal(lambda: samr.hSamrLookupIdsInDomain(client, domain, [7])) == Status.NONE_MAPPED


def test_a_user(client, domain, builtin):
    user = samr.hSamrOpenUser(client, domain, userId=1001)["UserHandle"]
    everything = samr.hSamrQueryInformationUser2(client, user)["Buffer"]["General"]
    assert everything["UserName"] == "bob"
    level = samr.USER_INFORMATION_CLASS.UserAllInformation
    everything = samr.hSamrQueryInformationUser(client, user, level)["Buffer"]["All"]
    assert (everything["UserName"], everything["UserId"], everything["PrimaryGroupId"]) == ("bob", 1001, 513)
    assert everything["UserAccountControl"] == 0x211
    level = samr.USER_INFORMATION_CLASS.UserControlInformation
    assert samr.hSamrQueryInformationUser(client, user, level)["Buffer"]["Control"]["UserAccountControl"] == 0x211
    level = samr.USER_INFORMATION_CLASS.UserNameInformation
    assert samr.hSamrQueryInformationUser(client, user, level)["Buffer"]["Name"]["UserName"] == "bob"
    groups = samr.hSamrGetGroupsForUser(client, user)["Groups"]["Groups"]
    assert [(each["RelativeId"], each["Attributes"]) for each in groups] == [(513, 7)]
    level = samr.USER_INFORMATION_CLASS.UserInternal1Information
    assert refusal(lambda: samr.hSamrQueryInformationUser(client, user, level)) == Status.INVALID_INFO_CLASS
    assert refusal(lambda: samr.hSamrOpenUser(client, domain, userId=7)) == Status.NO_SUCH_USER
    assert refusal(lambda: samr.hSamrOpenUser(client, builtin, userId=1001)) == Status.NO_SUCH_USER
    assert refusal(lambda: samr.hSamrGetGroupsForUser(client, domain)) == Status.INVALID_HANDLE


@pytest.mark.parametrize(
    ("level", "arm", "key", "text"),
    [
        (7, "AccountName", "UserName", "alice"),
        (8, "FullName", "FullName", ""),
        (13, "AdminComment", "AdminComment", ""),
    ],
)
def test_short_levels(client, domain, level, arm, key, text):
    user = samr.hSamrOpenUser(client, domain, userId=1000)["UserHandle"]
    assert (samr.hSamrQueryInformationUser(client, user, level)["Buffer"][arm][key] or "") == text


@pytest.mark.parametrize("level", [9, 17])
def test_numbers_of_a_user(client, domain, level):
    user = samr.hSamrOpenUser(client, domain, userId=1000)["UserHandle"]
    assert samr.hSamrQueryInformationUser(client, user, level)["ErrorCode"] == 0


def call(operation, known, stub, kind, value=0):
    """With a handle of that kind before the stub."""
    handles = Handles()
    return SAMR.operations[operation](known, NdrReader(handles.open(kind, value) + stub, handles))


def test_a_user_who_went_meanwhile(known):
    assert call(39, known, b"", b"samu", 1005) == bytes(4) + Status.NO_SUCH_USER.to_bytes(4, "little")


def test_a_handle_is_closed_once(client, domain):
    samr.hSamrCloseHandle(client, domain)
    with pytest.raises(samr.DCERPCException, match="nca_s_fault_context_mismatch"):
        samr.hSamrCloseHandle(client, domain)


def numbers(*values):
    return b"".join(value.to_bytes(4, "little") for value in values)


def test_aliases_of_sids(known):
    def membership(kind, *sids):
        array = numbers(len(sids), 4, len(sids), *[8] * len(sids))
        array += b"".join(numbers(len(sid.sub_authorities)) + sid.pack() for sid in sids)
        return call(16, known, array, kind)

    everyone, administrators = WellKnownSid.EVERYONE, WellKnownSid.BUILTIN_ADMINISTRATORS
    assert membership(b"samb", everyone, administrators) == numbers(1, 0x20000, 1, 544, 0)
    assert membership(b"samb", everyone) == membership(b"samd", administrators) == numbers(0, 0, 0)


@pytest.mark.parametrize("head", [(1, 999, 0, 1), (1, 1000, 1, 1), (1, 1000, 0, 2), (1001, 1000, 0, 1001)])
@pytest.mark.parametrize("operation", [17, 18])
def test_arrays_that_lie(known, operation, head):
    with pytest.raises(BadStructure):
        call(operation, known, numbers(*head), b"samd")


def test_a_question_about_nothing(known):
    for operation in (17, 18):
        assert call(operation, known, numbers(0, 1000, 0, 0), b"samd") == bytes(20)
