"""Vectors: Microsoft's logon in tests/data/windows_logon.hex."""

from smbport.security.preauth import PreauthHash

CHAIN = {
    "negotiate_request": "DD94EFC5321BB618A2E208BA8920D2F422992526947A409B5037DE1E0FE8C736"
    "2B8C47122594CDE0CE26AA9DFC8BCDBDE0621957672623351A7540F1E54A0426",
    "negotiate_response": "324BFA92A4F3A190E466EBEA08D9C110DC88BFED758D9846ECC6F541CC1D02AE"
    "3C94A79F36011E997E13F841B91B50957AD07B19C8E2539C0B23FDAE09D2C513",
    "setup_request_1": "AC0B0F2B9986257700365E416D142A6EDC96DF03594A19E52A15F6BD0D041CD5"
    "D432F8ED42C55E33197A50C9EC00F1462B50C592211B1471A04B56088FDFD5F9",
    "setup_response_1": "2729E3440DFDDD839E37193F6E8F20C20CEFB3469E453A70CD980EEC06B88357"
    "40A73760085633364C8989895ECE81BF102DEEB14D4B7D48AFA76901A7A38387",
    "setup_request_2": "0DD13628CC3ED218EF9DF9772D436D0887AB9814BFAE63A80AA845F36909DB79"
    "28622DDDAD522D9751640A459762C5A9D6BB084CBB3CE6BDADEF5D5BCE3C6C01",
}


def test_begins_with_zeroes():
    assert PreauthHash().value == bytes(64)


def test_windows_logon(windows_logon):
    preauth = PreauthHash()
    for name, expected in CHAIN.items():
        preauth.update(windows_logon[name])
        assert preauth.value.hex().upper() == expected, name


def test_one_message_in_several_buffers():
    whole, cut = PreauthHash(), PreauthHash()
    whole.update(b"head and body")
    cut.update(bytearray(b"head "), memoryview(b"and"), b" body")
    assert whole.value == cut.value


def test_two_messages_are_not_one():
    one, two = PreauthHash(), PreauthHash()
    one.update(b"ab")
    two.update(b"a")
    two.update(b"b")
    assert one.value != two.value


def test_a_copy_goes_its_own_way():
    connection = PreauthHash()
    connection.update(b"NEGOTIATE")
    before = connection.value
    session = connection.copy()
    assert session.value == before
    session.update(b"SESSION_SETUP")
    assert connection.value == before != session.value
