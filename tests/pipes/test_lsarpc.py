from dataclasses import replace

import pytest

from smbport.pipes.handles import Handles
from smbport.pipes.lsarpc import LSARPC
from smbport.pipes.ndr import NdrReader
from smbport.security.auth import UserRecord
from smbport.security.names import Names
from smbport.wire.record import BadStructure
from smbport.wire.security import WellKnownSid
from smbport.wire.status import Status

lsad = pytest.importorskip("impacket.dcerpc.v5.lsad")
lsat = pytest.importorskip("impacket.dcerpc.v5.lsat")

MACHINE = "S-1-5-21-1-2-3"
EVERYONE, ROOT, NOBODY = "S-1-1-0", "S-1-22-1-0", "S-1-5-21-9-9-9-1000"
ALL = 0x02000000


@pytest.fixture
def known(server):
    names = Names(
        machine_id=(1, 2, 3), server="FILES", users=(UserRecord("alice", bytes(16), rid=1000),),
        unix_users={0: "root"}, unix_groups={},
    )  # fmt: skip
    return replace(server, names=names)


@pytest.fixture
def client(connect, known):
    client = connect("lsarpc", server=known)
    client.bind(lsat.MSRPC_UUID_LSAT)
    return client


@pytest.fixture
def policy(client):
    return lsad.hLsarOpenPolicy2(client, ALL)["PolicyHandle"]


def refusal(action):
    with pytest.raises(lsad.DCERPCException) as caught:
        action()
    return caught.value.get_error_code()


def test_a_handle_is_opened_and_closed(client, policy):
    assert lsad.hLsarClose(client, policy)["ErrorCode"] == 0
    assert lsad.hLsarOpenPolicy(client, ALL)["ErrorCode"] == 0


@pytest.mark.parametrize("handle", [bytes(20), b"\1" * 20])
def test_a_handle_that_is_none(client, handle):
    with pytest.raises(lsad.DCERPCException, match="nca_s_fault_context_mismatch"):
        lsad.hLsarClose(client, handle)


def test_a_handle_is_closed_once(client, policy):
    lsad.hLsarClose(client, policy)
    for again in (lsad.hLsarClose, lambda *where: lsat.hLsarLookupSids(*where, [EVERYONE])):
        with pytest.raises(lsad.DCERPCException, match="nca_s_fault_context_mismatch"):
            again(client, policy)
    assert lsad.hLsarOpenPolicy2(client, ALL)["ErrorCode"] == 0  # and the pipe goes on


def test_a_handle_of_another_pipe(connect, known, policy):
    other = connect("lsarpc", server=known)
    other.bind(lsat.MSRPC_UUID_LSAT)
    lsad.hLsarOpenPolicy2(other, ALL)
    with pytest.raises(lsad.DCERPCException, match="nca_s_fault_context_mismatch"):
        lsad.hLsarClose(other, policy)


@pytest.mark.parametrize("name", ["", "BUILTIN", "builtin\\"])
def test_the_name_of_a_domain(client, policy, name):
    """Windows takes no name at all for BUILTIN."""
    answer = lsat.hLsarLookupNames(client, policy, [name])
    (found,) = answer["TranslatedSids"]["Sids"]
    assert (found["Use"], found["RelativeId"]) == (3, 0xFFFFFFFF)
    assert [domain["Name"] for domain in answer["ReferencedDomains"]["Domains"]] == ["BUILTIN"]


def test_the_anonymous_learn_nothing(connect, server):
    client = connect("lsarpc", server=server)
    client.bind(lsat.MSRPC_UUID_LSAT)
    assert refusal(lambda: lsad.hLsarOpenPolicy2(client, ALL)) == Status.ACCESS_DENIED
    assert refusal(lambda: lsat.hLsarGetUserName(client)) == Status.ACCESS_DENIED


def test_the_domains(client, policy):
    account = lsad.hLsarQueryInformationPolicy2(
        client, policy, lsad.POLICY_INFORMATION_CLASS.PolicyAccountDomainInformation
    )["PolicyInformation"]["PolicyAccountDomainInfo"]
    assert account["DomainName"] == "FILES"
    assert account["DomainSid"].formatCanonical() == MACHINE
    primary = lsad.hLsarQueryInformationPolicy(
        client, policy, lsad.POLICY_INFORMATION_CLASS.PolicyPrimaryDomainInformation
    )["PolicyInformation"]["PolicyPrimaryDomainInfo"]
    assert primary["Name"] == "WORKGROUP"
    dns = lsad.hLsarQueryInformationPolicy2(client, policy, lsad.POLICY_INFORMATION_CLASS.PolicyDnsDomainInformation)[
        "PolicyInformation"
    ]["PolicyDnsDomainInfo"]
    assert dns["Name"] == "WORKGROUP"
    role = lsad.hLsarQueryInformationPolicy2(
        client, policy, lsad.POLICY_INFORMATION_CLASS.PolicyLsaServerRoleInformation
    )["PolicyInformation"]["PolicyServerRoleInfo"]
    assert role["LsaServerRole"] == 3
    unknown = lsad.POLICY_INFORMATION_CLASS.PolicyAuditFullQueryInformation
    assert refusal(lambda: lsad.hLsarQueryInformationPolicy2(client, policy, unknown)) == Status.INVALID_INFO_CLASS


@pytest.mark.parametrize("version", [1, 2])
def test_names_of_sids(client, policy, version):
    ask = lsat.hLsarLookupSids if version == 1 else lsat.hLsarLookupSids2
    sids = [f"{MACHINE}-1000", EVERYONE, ROOT, f"{MACHINE}-513"]
    answer = ask(client, policy, sids)
    assert [(each["Name"], each["Use"]) for each in answer["TranslatedNames"]["Names"]] == [
        ("alice", 1), ("Everyone", 5), ("root", 1), ("None", 2),
    ]  # fmt: skip
    domains = answer["ReferencedDomains"]["Domains"]
    assert [(domain["Name"], domain["Sid"].formatCanonical()) for domain in domains] == [
        ("FILES", MACHINE), ("", "S-1-1"), ("Unix User", "S-1-22-1"),
    ]  # fmt: skip
    assert [each["DomainIndex"] for each in answer["TranslatedNames"]["Names"]] == [0, 1, 2, 0]
    assert answer["MappedCount"] == 4


def test_sids_that_nobody_knows(client, policy):
    some = lsat.LsarLookupSids()
    assert some is not None
    assert refusal(lambda: lsat.hLsarLookupSids(client, policy, [NOBODY, EVERYONE])) == 0x107
    assert refusal(lambda: lsat.hLsarLookupSids(client, policy, [NOBODY])) == Status.NONE_MAPPED


@pytest.mark.parametrize("version", [1, 2, 3])
def test_sids_of_names(client, policy, version):
    ask = {1: lsat.hLsarLookupNames, 2: lsat.hLsarLookupNames2, 3: lsat.hLsarLookupNames3}[version]
    answer = ask(client, policy, ["alice", "FILES\\ALICE", "everyone", "files"])
    found = answer["TranslatedSids"]["Sids"]
    assert [each["Use"] for each in found] == [1, 1, 5, 3]
    if version == 3:
        assert found[0]["Sid"].formatCanonical() == f"{MACHINE}-1000"
    else:
        assert [each["RelativeId"] for each in found] == [1000, 1000, 0, 0xFFFFFFFF]
    assert refusal(lambda: ask(client, policy, ["nobody"])) == Status.NONE_MAPPED


@pytest.mark.parametrize("operation", [76, 77])
def test_lookups_without_a_handle_are_for_domains(known, operation):
    stub = numbers(1, 4, 1, 4, 1) + SID
    assert call(operation, known, stub) == bytes(16) + Status.ACCESS_DENIED.to_bytes(4, "little")


def test_who_asks(client):
    assert lsat.hLsarGetUserName(client)["UserName"] == "alice"


def test_who_asks_and_where(known):
    files = numbers(0x20008, 0x2000C) + b"\x0a\0\x0a\0" + numbers(0x20010, 5, 0, 5) + b"F\0I\0L\0E\0S\0"
    for asked in (numbers(0, 0, 4, 0), numbers(0, 4) + b"\0\0\2\0" + numbers(4, 1, 0, 0) + numbers(4, 0)):
        answer = call(45, known, asked)
        alice, _, domain = answer.partition(b"a\0l\0i\0c\0e\0")
        assert alice
        assert domain[2:].startswith(files)
        assert domain.endswith(bytes(4))
    assert call(45, known, numbers(0, 0, 0)).endswith(bytes(8))


def test_privileges_are_the_administrators(client, policy):
    answer = lsad.hLsarEnumerateAccountRights(client, policy, "S-1-5-32-544")
    rights = [str(right["Data"]) for right in answer["UserRights"]["UserRights"]]
    assert "SeTakeOwnershipPrivilege" in rights
    status = refusal(lambda: lsad.hLsarEnumerateAccountRights(client, policy, f"{MACHINE}-1000"))
    assert status == Status.OBJECT_NAME_NOT_FOUND


def call(operation, known, stub):
    return LSARPC.operations[operation](known, NdrReader(stub, Handles()))


def call_with_policy(operation, known, stub):
    handles = Handles()
    return LSARPC.operations[operation](known, NdrReader(handles.open(b"lsap") + stub, handles))


SID = WellKnownSid.EVERYONE.pack()


def numbers(*values):
    return b"".join(value.to_bytes(4, "little") for value in values)


def test_a_question_about_nothing(known):
    for stub in (numbers(0, 0), numbers(0, 4), numbers(1, 0)):
        assert call_with_policy(15, known, stub) == numbers(0x20000, 0, 0, 32, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("operation", "stub"),
    [
        (15, numbers(1, 4, 2, 4, 1) + SID),  # counts differ
        (15, numbers(2, 4, 2, 4, 0, 1) + SID),  # a hole
        (15, numbers(1, 4, 1, 4, 2) + SID),  # the SID is shorter than the array
        (15, numbers(1, 4, 1, 4, 1) + SID[:6]),
        (15, numbers(1001, 4, 1001)),
        (14, numbers(1, 2)),
        (14, numbers(1001, 1001)),
        (14, numbers(1, 1) + b"\4\0\4\0" + numbers(4, 2, 0, 3) + b"a\0b\0"),
    ],
)
def test_stubs_that_lie(known, operation, stub):
    with pytest.raises(BadStructure):
        call_with_policy(operation, known, stub)
