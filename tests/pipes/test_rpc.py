"""PDUs are written here byte by byte, not with the records under test."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.pipes.rpc import Association, Fault, Interface, PduFlag, PduHeader, PduType, uuid_bytes
from smbport.pipes.server_info import ServerInfo
from smbport.wire.status import Status, StatusError

UUID = uuid_bytes("12345678-1234-abcd-ef00-0123456789ab")
NDR = bytes.fromhex("045d888aeb1cc9119fe808002b10486002000000")
NDR64 = bytes.fromhex("33057171babe37498319b5dbef9ccc3601000000")
FEATURES = bytes.fromhex("2c1cb76c12984045030000000000000001000000")
WHOLE = PduFlag.FIRST_FRAGMENT | PduFlag.LAST_FRAGMENT
SERVER = ServerInfo(name="S", domain="D", comment="", shares=(), user="u", now_ns=0, start_ns=0)


def read_rest(stub):
    length = stub.u32()
    return b"".join(stub.u32().to_bytes(4, "little") for _ in range(length // 4))


OPERATIONS = {
    0: lambda server, stub: read_rest(stub),  # what it was given
    1: lambda server, stub: bytes(stub.u32()),  # as many bytes as asked for
    2: lambda server, stub: server.name.encode(),
}


def pdu(pdu_type, body=b"", flags=WHOLE, call_id=1, auth_length=0, version=5, minor=0, representation=b"\x10\0\0\0"):
    length = 16 + len(body)
    return struct.pack("<4B4sHHI", version, minor, pdu_type, flags, representation, length, auth_length, call_id) + body


def context(context_id=0, uuid=UUID, major=1, minor=2, syntaxes=(NDR,)):
    return struct.pack("<HBx16sHH", context_id, len(syntaxes), uuid, major, minor) + b"".join(syntaxes)


def bind_body(*contexts, transmit=4280, receive=4280, group=0):
    return struct.pack("<HHIB3x", transmit, receive, group, len(contexts)) + b"".join(contexts)


def bind(*contexts, **keywords):
    return pdu(PduType.BIND, bind_body(*(contexts or [context()]), **keywords))


def request(operation, stub=b"", context_id=0, hint=0, **keywords):
    return pdu(PduType.REQUEST, struct.pack("<IHH", hint, context_id, operation) + stub, **keywords)


def sized(data):
    return len(data).to_bytes(4, "little") + data


def associate(max_fragment=4280, max_request=1 << 20):
    interface = Interface(UUID, 1, 2, OPERATIONS)
    return Association(interface, "\\PIPE\\echo", lambda: SERVER, max_fragment, max_request)


@pytest.fixture
def bound():
    association = associate()
    association.feed(bind())
    association.answers.clear()
    return association


def ask(association, *pdus):
    """The answers to these PDUs, each as its header and its body."""
    for one in pdus:
        association.feed(one)
    answers = [(PduHeader.unpack_from(answer), answer[16:]) for answer in association.answers]
    association.answers.clear()
    return answers


def results(body):
    """The (result, reason, syntax) of each context in a bind_ack."""
    (length,) = struct.unpack_from("<H", body, 8)
    start = (10 + length + 3) // 4 * 4
    (count,) = struct.unpack_from("<B3x", body, start)
    assert len(body) == start + 4 + 24 * count
    return [struct.unpack_from("<HH20s", body, start + 4 + 24 * index) for index in range(count)]


def fault_of(answers):
    ((header, body),) = answers
    assert header.pdu_type == PduType.FAULT
    assert header.flags == WHOLE | PduFlag.DID_NOT_EXECUTE
    assert len(body) == 16
    return struct.unpack_from("<I", body, 8)[0]


def nak_of(answers):
    ((header, body),) = answers
    assert header.pdu_type == PduType.BIND_NAK
    assert body[2:] == bytes((1, 5, 0))
    return struct.unpack_from("<H", body)[0]


class TestBind:
    def test_answer(self):
        ((header, body),) = ask(associate(), bind(group=0x77))
        assert (header.pdu_type, header.flags, header.call_id) == (PduType.BIND_ACK, WHOLE, 1)
        assert struct.unpack_from("<HHI", body) == (4280, 4280, 0x77)
        assert body[8:24] == b"\x0b\0\\PIPE\\echo\0\0\0\0"
        assert results(body) == [(0, 0, NDR)]

    def test_a_new_group_is_not_zero(self):
        ((_, body),) = ask(associate(), bind())
        assert struct.unpack_from("<I", body, 4) != (0,)

    def test_contexts_as_windows_sends_them(self):
        contexts = context(0), context(1, syntaxes=(NDR64,)), context(2, syntaxes=(FEATURES,))
        ((_, body),) = ask(associate(), bind(*contexts))
        none = bytes(20)
        assert results(body) == [(0, 0, NDR), (2, 2, none), (3, 2, none)]  # of the features: keep on orphan

    @pytest.mark.parametrize(
        "offer",
        [
            context(uuid=bytes(16)),
            context(major=2),
            context(minor=3),  # newer than ours
        ],
    )
    def test_another_interface(self, offer):
        association = associate()
        ((_, body),) = ask(association, bind(offer))
        assert results(body) == [(2, 1, bytes(20))]
        assert fault_of(ask(association, request(2))) == Fault.UNKNOWN_INTERFACE

    def test_an_older_minor_version_and_several_syntaxes(self):
        ((_, body),) = ask(associate(), bind(context(minor=0, syntaxes=(NDR64, NDR))))
        assert results(body) == [(0, 0, NDR)]

    @pytest.mark.parametrize(
        ("transmit", "receive", "ours", "agreed"),
        [
            (5840, 5840, 4280, 4280),
            (2000, 3000, 4280, 2000),
            (3000, 2001, 4280, 2000),  # down to a multiple of 8
            (0, 0, 4280, 1432),  # what every peer must take
            (5840, 5840, 1024, 1432),  # though what is sent has 1024 at most
            (65535, 65535, 65535, 65528),
        ],
    )
    def test_fragment_sizes(self, transmit, receive, ours, agreed):
        ((_, body),) = ask(associate(ours), bind(transmit=transmit, receive=receive))
        assert struct.unpack_from("<HH", body) == (agreed, agreed)

    def test_many_contexts_fit_into_the_smallest_fragment(self):
        association = associate(1024)
        ((header, body),) = ask(association, bind(*map(context, range(32))))
        assert header.fragment_length <= 1024
        assert len(results(body)) == 32
        ((_, body),) = ask(association, pdu(PduType.ALTER_CONTEXT, bind_body(context(32))))
        assert results(body) == [(2, 3, bytes(20))]

    def test_too_many_contexts(self):
        association = associate()
        assert nak_of(ask(association, bind(*map(context, range(33))))) == 2
        assert association.closed

    @pytest.mark.parametrize("fragment", [0, 1023, 65536])
    def test_fragments_that_cannot_work(self, fragment):
        with pytest.raises(ValueError, match="1024 to 65535"):
            associate(fragment)

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [
            (pdu(PduType.BIND, bind_body(context(), context())[:-1]), 0),
            (pdu(PduType.BIND, bind_body(context())[:-21]), 0),
            (pdu(PduType.BIND, bind_body(context(syntaxes=()))), 0),
            (pdu(PduType.BIND, bind_body()), 0),
            (pdu(PduType.BIND), 0),
            (pdu(PduType.BIND, bind_body(context()), auth_length=32), 8),
            (pdu(PduType.BIND, bind_body(context()), auth_length=65535), 8),
            (pdu(PduType.BIND, bind_body(context()), version=4), 4),
            (pdu(PduType.BIND, bind_body(context()), minor=2), 4),
        ],
    )
    def test_refused(self, broken, reason):
        association = associate()
        assert nak_of(ask(association, broken)) == reason
        assert association.closed

    def test_twice(self, bound):
        assert nak_of(ask(bound, bind())) == 0
        assert bound.closed


class TestAlterContext:
    def test_adds_a_context(self, bound):
        body = bind_body(context(5), context(6, uuid=bytes(16)), group=0x77)
        ((header, body),) = ask(bound, pdu(PduType.ALTER_CONTEXT, body, call_id=9))
        assert (header.pdu_type, header.call_id) == (PduType.ALTER_CONTEXT_RESPONSE, 9)
        assert struct.unpack_from("<HHIH", body) == (4280, 4280, 0x77, 0)
        assert results(body) == [(0, 0, NDR), (2, 1, bytes(20))]
        ((header, body),) = ask(bound, request(2, context_id=5))
        assert (header.pdu_type, body[8:]) == (PduType.RESPONSE, b"S")
        assert fault_of(ask(bound, request(2, context_id=6))) == Fault.UNKNOWN_INTERFACE

    def test_before_bind(self):
        association = associate()
        assert fault_of(ask(association, pdu(PduType.ALTER_CONTEXT, bind_body(context())))) == Fault.PROTOCOL
        assert association.closed

    def test_inside_a_call(self, bound):
        first = request(0, flags=PduFlag.FIRST_FRAGMENT)
        assert fault_of(ask(bound, first, pdu(PduType.ALTER_CONTEXT, bind_body(context())))) == Fault.PROTOCOL

    def test_too_many_contexts(self, bound):
        many = bind_body(*map(context, range(33)))
        assert fault_of(ask(bound, pdu(PduType.ALTER_CONTEXT, many))) == Fault.PROTOCOL
        assert bound.closed


class TestRequest:
    def test_fields_of_the_answer(self, bound):
        ((header, body),) = ask(bound, request(0, sized(b"12345678"), call_id=0xFFFFFFFF))
        assert (header.pdu_type, header.flags, header.call_id) == (PduType.RESPONSE, WHOLE, 0xFFFFFFFF)
        assert (header.version, header.data_representation, header.auth_length) == (5, b"\x10\0\0\0", 0)
        assert body == struct.pack("<IHBx", 8, 0, 0) + b"12345678"

    def test_an_empty_answer_is_an_answer(self, bound):
        ((header, body),) = ask(bound, request(0, sized(b"")))
        assert (header.flags, len(body)) == (WHOLE, 8)

    def test_the_object_is_skipped(self, bound):
        stub = b"o" * 16 + sized(b"1234")
        ((_, body),) = ask(bound, request(0, stub, flags=WHOLE | PduFlag.OBJECT_UUID))
        assert body[8:] == b"1234"

    def test_no_room_for_the_object(self, bound):
        assert fault_of(ask(bound, request(0, b"o" * 15, flags=WHOLE | PduFlag.OBJECT_UUID))) == Fault.PROTOCOL

    @pytest.mark.parametrize("size", [1000, 1001, 5000])
    def test_long_answers_come_in_fragments(self, size):
        association = associate(1024)
        answers = ask(association, bind(), request(1, size.to_bytes(4, "little"), call_id=7))[1:]
        assert [header.fragment_length for header, _ in answers[:-1]] == [1024] * (len(answers) - 1)
        assert [header.flags for header, _ in answers] == [
            (PduFlag.FIRST_FRAGMENT if index == 0 else 0) | (PduFlag.LAST_FRAGMENT if index == len(answers) - 1 else 0)
            for index in range(len(answers))
        ]
        assert {header.call_id for header, _ in answers} == {7}
        assert b"".join(body[8:] for _, body in answers) == bytes(size)
        assert [struct.unpack_from("<I", body)[0] for _, body in answers] == list(range(size, 0, -1000))

    def test_fragments_are_joined(self, bound):
        data = sized(bytes(range(200)))
        parts = [data[:90], b"", data[90:100], data[100:]]
        flags = [PduFlag.FIRST_FRAGMENT, 0, 0, PduFlag.LAST_FRAGMENT]
        ((_, body),) = ask(bound, *(request(0, part, flags=flag) for part, flag in zip(parts, flags, strict=True)))
        assert body[8:] == bytes(range(200))

    @pytest.mark.parametrize("step", [1, 5, 16, 17, 100])
    def test_bytes_may_arrive_in_any_pieces(self, step):
        stream = bind() + request(0, sized(b"1234")) + request(2)
        pieces = [memoryview(stream)[start : start + step] for start in range(0, len(stream), step)]
        answers = ask(associate(), *pieces)
        assert [header.pdu_type for header, _ in answers] == [PduType.BIND_ACK, PduType.RESPONSE, PduType.RESPONSE]
        assert answers[2][1][8:] == b"S"

    @pytest.mark.parametrize(
        ("bad", "status"),
        [
            (request(3), Fault.OPERATION_RANGE),
            (request(0, context_id=1), Fault.UNKNOWN_INTERFACE),
            (request(0, b"\xff\xff\xff\xff"), Fault.BAD_STUB_DATA),
            (request(0), Fault.BAD_STUB_DATA),
        ],
    )
    def test_faults_after_which_it_goes_on(self, bound, bad, status):
        assert fault_of(ask(bound, bad)) == status
        assert ask(bound, request(2))[0][1][8:] == b"S"

    @pytest.mark.parametrize(
        "second",
        [
            request(0, flags=0, call_id=2),
            request(1, flags=0),
            request(0, flags=0, context_id=1),
            request(0, flags=PduFlag.FIRST_FRAGMENT),
            request(0, call_id=2),
        ],
    )
    def test_fragments_of_different_calls(self, bound, second):
        assert fault_of(ask(bound, request(0, flags=PduFlag.FIRST_FRAGMENT), second)) == Fault.PROTOCOL
        assert bound.closed

    @pytest.mark.parametrize(
        "bad",
        [
            request(0, flags=PduFlag.LAST_FRAGMENT),  # of what?
            request(0, auth_length=8),
            request(0, auth_length=65535),
            request(0, version=4),
            request(0, minor=2),
            pdu(PduType.REQUEST, bytes(7)),
            pdu(PduType.RESPONSE, bytes(8)),
            pdu(16, bytes(4)),  # auth3
            pdu(255),
        ],
    )
    def test_violations_end_the_association(self, bound, bad):
        assert fault_of(ask(bound, bad, request(2))) == Fault.PROTOCOL
        assert bound.closed

    def test_before_bind(self):
        assert fault_of(ask(associate(), request(2))) == Fault.PROTOCOL

    def test_cancel_comes_too_late(self, bound):
        assert ask(bound, pdu(PduType.CO_CANCEL)) == []
        assert len(ask(bound, request(2))) == 1

    def test_orphaned_forgets_the_call(self, bound):
        first = request(0, b"junk", flags=PduFlag.FIRST_FRAGMENT, call_id=3)
        ask(bound, first, pdu(PduType.ORPHANED, call_id=3))
        assert ask(bound, request(2))[0][1][8:] == b"S"

    def test_orphaned_of_another_call(self, bound):
        first, last = PduFlag.FIRST_FRAGMENT, PduFlag.LAST_FRAGMENT
        answers = ask(bound, request(2, flags=first), pdu(PduType.ORPHANED, call_id=3), request(2, flags=last))
        assert answers[0][1][8:] == b"S"


class TestLimits:
    def test_a_request_as_long_as_allowed(self):
        association = associate(max_request=1000)
        ask(association, bind())
        ((_, body),) = ask(association, request(0, sized(bytes(996)), hint=1000))
        assert len(body) == 8 + 996

    @pytest.mark.parametrize("too_long", [request(0, bytes(1001)), request(0, hint=1001), request(0, hint=0xFFFFFFFF)])
    def test_a_longer_one(self, too_long):
        association = associate(max_request=1000)
        ask(association, bind())
        assert fault_of(ask(association, too_long)) == Fault.ACCESS_DENIED
        assert association.closed

    def test_eight_megabytes_of_unfinished_fragments(self):
        association = associate(max_request=4 << 20)
        ask(association, bind())
        taken = 0
        flags = PduFlag.FIRST_FRAGMENT
        while not association.answers and taken < 8 << 20:
            association.feed(request(0, bytes(4096), flags=flags))
            taken += 4096
            flags = 0
        assert taken == (4 << 20) + 4096
        assert fault_of(ask(association)) == Fault.ACCESS_DENIED
        assert association.closed

    @pytest.mark.parametrize("length", [0, 15, 5841, 65535])
    def test_fragment_lengths_that_cannot_be(self, bound, length):
        broken = bytearray(request(2))
        broken[8:10] = length.to_bytes(2, "little")
        with pytest.raises(StatusError) as caught:
            bound.feed(broken)
        assert caught.value.status == Status.PIPE_BROKEN
        assert bound.closed
        assert not bound.answers

    def test_the_largest_fragment(self, bound):
        assert ask(bound, request(0, sized(bytes(5840 - 28))))[-1][0].pdu_type == PduType.RESPONSE

    @pytest.mark.parametrize("representation", [b"\0\0\0\0", b"\x11\0\0\0", b"\x10\x01\0\0"])
    def test_other_data_representations(self, representation):
        association = associate()
        with pytest.raises(StatusError) as caught:
            association.feed(pdu(PduType.BIND, bind_body(context()), representation=representation))
        assert caught.value.status == Status.PIPE_BROKEN
        assert association.closed

    def test_a_client_that_never_reads(self, bound):
        with pytest.raises(StatusError) as caught:
            bound.feed(request(2) * 1000)
        assert caught.value.status == Status.PIPE_BROKEN
        assert len(bound.answers) == 65

    def test_one_long_answer_may_wait(self):
        association = associate(1024)
        ask(association, bind())
        assert len(ask(association, request(1, (1_000_000).to_bytes(4, "little")))) == 1000


PDUS = st.sampled_from([
    bind(),
    bind(context(0), context(1, syntaxes=(NDR64,)), context(2, syntaxes=(FEATURES,))),
    pdu(PduType.ALTER_CONTEXT, bind_body(context(1))),
    request(0, sized(b"1234")),
    request(0, sized(b"1234"), flags=PduFlag.FIRST_FRAGMENT),
    request(0, sized(b"1234"), flags=PduFlag.LAST_FRAGMENT),
    request(2),
    pdu(PduType.CO_CANCEL),
    pdu(PduType.ORPHANED),
])  # fmt: skip
CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)


def feed_and_check(stream):
    """Whatever the bytes: a StatusError, or answers that are PDUs."""
    association = associate(1024, 4096)
    broken = None
    try:
        association.feed(stream)
    except StatusError as error:
        broken = error.status
    assert broken in (None, Status.PIPE_BROKEN)
    assert association.closed or broken is None
    for answer in association.answers:
        header = PduHeader.unpack_from(answer)
        assert header.fragment_length == len(answer) <= 1024


@given(st.lists(PDUS, max_size=5), CHANGES)
def test_changed_streams(pdus, changes):
    stream = bytearray(b"".join(pdus))
    for position, value in changes:
        if position < len(stream):
            stream[position] = value
    feed_and_check(stream)


@given(st.binary(max_size=200))
def test_random_bytes(data):
    feed_and_check(data)
    feed_and_check(bind() + data)


@given(st.integers(0, 3), st.binary(max_size=200))
def test_random_bodies(pdu_type, body):
    kinds = (PduType.BIND, PduType.REQUEST, PduType.ALTER_CONTEXT, PduType.ORPHANED)
    feed_and_check(pdu(kinds[pdu_type], body))
    feed_and_check(bind() + pdu(kinds[pdu_type], body))


def test_uuid_bytes():
    assert uuid_bytes("8a885d04-1ceb-11c9-9fe8-08002b104860") == NDR[:16]
