"""smbport_linux.ksmbd.releases: which kernels have which ksmbd."""

import pytest

from smbport_linux.ksmbd.releases import find_faults, parse_release


@pytest.mark.parametrize(
    ("text", "release"),
    [("6.12.95+deb12-amd64", (6, 12, 95)), ("7.3", (7, 3, 0)), ("6.18.44-fc-v657", (6, 18, 44))],
)
def test_numbers(text, release):
    assert parse_release(text) == release


def test_a_release_without_a_number():
    with pytest.raises(RuntimeError, match="no number"):
        parse_release("custom")


@pytest.mark.parametrize(
    ("text", "leases", "expected"),
    [
        ("6.1.0-56", False, [(True, "crashes the kernel when a client opens a directory")]),
        ("5.15.1", True, [(False, "never tried here; 6.12 was")]),
        ("6.12.95", True, []),
        ("6.12.107", False, []),
        ("6.12.107", True, [(True, "when it grants leases; set server.leases = false")]),
        ("7.3.4", True, [(False, "does not tell the addresses")]),
        ("8.0.0", True, [(False, "never tried here; 7.3 was"), (False, "does not tell the addresses")]),
    ],
)
def test_faults(text, leases, expected):
    found = find_faults(parse_release(text), leases=leases, signing_required=False)
    assert [serious for serious, _ in found] == [serious for serious, _ in expected]
    assert all(part in said for (_, said), (_, part) in zip(found, expected, strict=True))


@pytest.mark.parametrize(("text", "wrong"), [("6.12.95", True), ("7.3.4", False)])
def test_what_becomes_of_signing(text, wrong):
    found = find_faults(parse_release(text), leases=False, signing_required=True)
    said = "; ".join(said for serious, said in found if not serious)
    assert "takes requests that are not signed" in said
    assert ("signs some answers to READ wrongly" in said) == wrong


@pytest.mark.parametrize(
    ("text", "size", "caps", "tells"),
    [("6.12.95", 156, False, True), ("7.2.12", 168, False, False), ("7.3.4", 156, True, False)],
)
def test_facts(text, size, caps, tells):
    release = parse_release(text)
    assert (release.spnego_size, release.caps_sessions, release.tells_addresses) == (size, caps, tells)
