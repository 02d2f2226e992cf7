"""smbport.state.names: both spellings of every name, what is no name at all, and search patterns."""

import os
import unicodedata
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smbport.state.names import (
    MAX_PART,
    MAX_PATH_BYTES,
    FileName,
    Pattern,
    fold,
    has_wildcards,
    name_for_disk,
    name_for_posix,
    name_for_wire,
    parse_file_name,
    parse_posix_name,
)
from smbport.wire.status import Status, StatusError
from smbport.wire.text import decode_utf16, encode_utf16

INVALID, SYNTAX, PARAMETER = Status.OBJECT_NAME_INVALID, Status.OBJECT_PATH_SYNTAX_BAD, Status.INVALID_PARAMETER

# Whatever a POSIX system may hold: bytes without NUL and "/", not "." or "..".
bytes_on_disk = st.binary(min_size=1, max_size=255)
telling_bytes = st.lists(
    st.sampled_from([b".", b" ", b":", b"\\", b"*", b'"', b"|", b"a", b"\x01", b"\x1f", b"\x7f", b"\x80", b"\xff"])
    | st.sampled_from("\uef80\uefef\uefff\uf001\uf01f\uf020\uf021\uf026\uf028\uf029\uf02a\U0001f600é").map(str.encode)
    | st.sampled_from([b"\xef", b"\xef\x80", b"\xed\xb2\x80", b"\xc0\xae", b"\xc3", b"\xa4"]),
    min_size=1,
    max_size=8,
).map(b"".join)


def is_posix_name(name):
    return b"/" not in name and b"\0" not in name and name not in (b".", b"..")


# Mapping --------------------------------------------------------------------------------------------------------


@given((telling_bytes | bytes_on_disk).filter(is_posix_name))
@example(b"\xef\x80\xa1")
@example(b"\xef\xbe\x80\xef\x80\xa9")
@example(b"..\xef\x80\xa9")
@example(b". ")
@example(b"\xff" * 255)
@example(b"a\n")
@example(b"a.\n")
def test_every_name_on_disk_can_be_listed_and_comes_back(raw):
    name = os.fsdecode(raw)
    wire = decode_utf16(encode_utf16(name_for_wire(name)))
    assert not set(wire) & set('"*:<>?\\/|') | {letter for letter in wire if letter < " "}
    assert wire[-1] not in " ."
    assert len(encode_utf16(wire)) <= 2 * len(raw), "longer in UTF-16 units than it was in bytes"
    assert name_for_disk(wire) == name
    assert os.fsencode(name_for_disk(wire)) == raw
    assert parse_file_name(f"dir\\{wire}") == FileName(f"dir/{name}", "", False)


@given(st.lists(telling_bytes.filter(is_posix_name).map(os.fsdecode), min_size=2, max_size=2, unique=True))
def test_different_names_stay_different(names):
    assert name_for_wire(names[0]) != name_for_wire(names[1])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/\\"), min_size=1, max_size=20))
def test_a_name_from_the_wire_is_the_same_however_it_is_read_back(wire):
    disk = name_for_disk(wire)
    assert "/" not in disk
    assert "\0" not in disk
    assert os.fsdecode(os.fsencode(disk)) == disk


@pytest.mark.parametrize(
    ("disk", "wire"),
    [
        ("plain.txt", "plain.txt"),
        ("", ""),
        ("a:b", "a\uf022b"),
        ('"*:<>?\\|', "\uf020\uf021\uf022\uf023\uf024\uf025\uf026\uf027"),
        ("\x01\x1f\x7f", "\uf001\uf01f\x7f"),
        ("ends.", "ends\uf029"),
        ("ends ", "ends\uf028"),
        ("ends. .", "ends. \uf029"),
        (". a", ". a"),
        ("\udcff\udc80", "\uefff\uef80"),
        ("\uf021", "\uefef\uef80\uefa1"),
        ("\uf02a", "\uf02a"),
        ("\uf000", "\uf000"),
    ],
)
def test_spellings(disk, wire):
    assert name_for_wire(disk) == wire
    assert name_for_disk(wire) == disk


@pytest.mark.parametrize(
    ("wire", "disk"), [("a\uf028b", "a b"), ("\uefc3\uefa4", "ä"), ("\uefc0\uefaf", "\udcc0\udcaf")]
)
def test_spellings_that_only_a_client_thinks_of(wire, disk):
    assert name_for_disk(wire) == disk


# Paths ----------------------------------------------------------------------------------------------------------


def refusal(text):
    with pytest.raises(StatusError) as caught:
        parse_file_name(text)
    return caught.value.status


@pytest.mark.parametrize(
    ("text", "path", "stream", "directory", "data"),
    [
        ("", "", "", False, False),
        ("a", "a", "", False, False),
        ("a\\b\\c.txt", "a/b/c.txt", "", False, False),
        ("a\\", "a", "", True, False),
        ("a\\b\\", "a/b", "", True, False),
        (".hidden", ".hidden", "", False, False),
        ("..data", "..data", "", False, False),
        ("...", "...", "", False, False),
        ("a..", "a..", "", False, False),
        (" a", " a", "", False, False),
        ("a:s", "a", "s", False, True),
        ("d\\a:s:$DATA", "d/a", "s", False, True),
        ("a:s:$data", "a", "s", False, True),
        ('a:*<\x01>"|?.:$DATA', "a", '*<\x01>"|?.', False, True),
        ("a::$DATA", "a", "", False, True),
        (":s", "", "s", False, True),
        ("::$DATA", "", "", False, True),
        ("a:$DATA", "a", "$DATA", False, True),
        ("a:\uf022", "a", "\uf022", False, True),
        ("a:" + "s" * MAX_PART, "a", "s" * MAX_PART, False, True),
        ("d\\a::$INDEX_ALLOCATION", "d/a", "", True, False),
        ("a:$i30:$Index_Allocation", "a", "", True, False),
        ("a\uf022s", "a:s", "", False, False),
        ("d\\a\uf026b", "d/a\\b", "", False, False),
        ("\uefff\\\uf029hidden", "\udcff/.hidden", "", False, False),
        ("a\\..", "", "", False, False),
        ("a\\..\\", "", "", True, False),
        ("a\\..\\b", "b", "", False, False),
        ("a\\b\\..\\..\\c\\..\\d", "d", "", False, False),
        ("a\\b\\..\\c\\", "a/c", "", True, False),
        ("a\\..:s", "", "s", False, True),
        ("a\\b\\..::$DATA", "a", "", False, True),
        ("@GMT-1\\..\\x", "x", "", False, False),
    ],
)
def test_names(text, path, stream, directory, data):
    assert parse_file_name(text) == FileName(path, stream, directory, data)


ESCAPES = [
    "..", "..\\", "..\\x", "..\\..\\x", "a\\..\\..", "a\\..\\..\\x", "a\\..\\..\\a", "..:s", "..::$DATA",
    "a\\..\\..:s", "a\\\\..\\b", "a\\.\\..\\b", "a\\..\\\\b", "a\\..\\.\\b", "a/..\\..\\b", "a:\\..\\..\\b", "*\\..\\b",
    ".", ".\\", ".\\x", "a\\.", "a\\.\\b", ".:s", ".\\..\\x",
    "\\", "\\x", "\\\\server\\share", "\\..\\x", "\\\\?\\C:\\x", "\\??\\C:\\x",
    "/", "/etc/passwd", "a/b", "../x", "..\\/..", "a\\../x", "a/../../x", "..//x",
    "C:\\x", "C:/x", "C:x\\y", "a\\\\b", "a\\\\", "a\\b\\\\", "\0", "a\0b", "..\0", "a\\..\0",
    "\uf029", "\uf029\uf029", "a\\\uf029\uf029\\b", ".\uf029", "\uf029.", "\uf029\uf029\\x", "\uf029\\x",
    "a:..\\x", "a:\\..\\x", "a:b\\c", "a:/b", "a\\:s", ":", "a:", "a::", "a:s:", "a:s:$INDEX_ALLOCATION", "a:s:$FOO",
    "a:s:$DATA:t", "a:::$DATA", "a:s:$DATA\\", "a:" + "s" * 256, "~snapshot\\..\\..\\x",
]  # fmt: skip


@pytest.mark.parametrize("text", ESCAPES)
def test_no_spelling_leaves_the_share(text):
    assert refusal(text) in (INVALID, SYNTAX, PARAMETER)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("\\a", PARAMETER),
        ("..", SYNTAX),
        ("a\\..\\..\\b", SYNTAX),
        ("a\\\\..\\b", INVALID),
        (".", INVALID),
        ("a\\.\\b", INVALID),
        ("a\\\\b", INVALID),
        ("\uf029\uf029", INVALID),
        ("a:", INVALID),
    ],
)
def test_refusals(text, status):
    assert refusal(text) == status


@pytest.mark.parametrize("letter", ['"', "*", "<", ">", "?", "|", "/", *map(chr, range(32))])
def test_reserved_characters(letter):
    assert refusal(f"a{letter}") == INVALID
    assert refusal(f"{letter}\\a") == INVALID
    assert refusal(f"a{letter}:s") == INVALID


@pytest.mark.parametrize("letter", ["/", "\\", "\0"])
def test_reserved_characters_of_streams(letter):
    assert refusal(f"a:{letter}") == INVALID
    assert refusal(f"a:s{letter}:$DATA") == INVALID


@pytest.mark.parametrize("letter", ["x", "é", "漢"])
def test_the_longest_part(letter):
    assert parse_file_name(letter * MAX_PART).path == letter * MAX_PART
    assert refusal(letter * (MAX_PART + 1)) == INVALID
    assert refusal("a\\" + letter * (MAX_PART + 1) + "\\b") == INVALID


def test_a_part_is_measured_in_utf_16():
    assert parse_file_name("\U0001f600" * 127 + "x").path == "\U0001f600" * 127 + "x"
    assert refusal("\U0001f600" * 128) == INVALID


@pytest.mark.parametrize("letter", ["x", "é", "漢"])
def test_the_longest_path(letter):
    """Parts of 100 letters, as many as fit, and then to the byte."""
    width = len(letter.encode())
    text = "\\".join([letter * 100] * (MAX_PATH_BYTES // (100 * width + 1)))
    text += "\\" + "x" * (MAX_PATH_BYTES - len(text.encode()) - 1)
    assert len(parse_file_name(text).path.encode()) == MAX_PATH_BYTES
    assert refusal(text + "x") == INVALID


@given(st.text(max_size=30) | st.text(".\\/:a\0\uf029\uf026\uef80\uefae *", max_size=12))
def test_what_is_accepted_stays_inside(text):
    try:
        name = parse_file_name(text)
    except StatusError:
        return
    assert not name.path.startswith("/")
    assert "\0" not in name.path
    assert not name.path or not {"", ".", ".."} & set(name.path.split("/"))
    assert not set("\\/:\0") & set(name.stream)


# Case -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("README.txt", "readme.TXT", True),
        ("ÄÖÜ", "äöü", True),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ", True),
        ("ÿ", "Ÿ", True),
        ("straße", "STRASSE", False),
        ("ß", "ẞ", False),
        ("\u0131", "I", False),
        ("İ", "i", False),
        ("\u017f", "S", False),
        ("\u00b5", "\u03bc", False),  # the micro sign and a Greek letter
        ("ﬁ", "FI", False),
        ("é", "e\u0301", False),
    ],
)
def test_which_names_are_the_same_without_case(one, other, same):
    assert (fold(one) == fold(other)) is same


@given(st.text())
def test_folding_goes_letter_by_letter(name):
    folded = fold(name)
    assert len(folded) == len(name)
    assert fold(folded) == folded
    assert folded == "".join(map(fold, name))


def test_no_letter_folds_into_ascii_or_out_of_it():
    for code in range(0x80, 0x10000):
        if unicodedata.category(chr(code)) != "Cs":
            assert not fold(chr(code)).isascii()


# Patterns -------------------------------------------------------------------------------------------------------


def reference(pattern, name):
    """One rule per wildcard, tried in every way there is.  [MS-FSA] 2.1.4.4, and Windows' one dot for a DOS_QM."""
    if not pattern:
        return not name
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        return any(reference(rest, name[length:]) for length in range(len(name) + 1))
    if head == "<":
        limit = name.rfind(".") + 1 if "." in name else len(name)
        return any(reference(rest, name[length:]) for length in range(limit + 1))
    if head == "?":
        return name != "" and reference(rest, name[1:])
    if head == ">":
        takes = name == "." or (name != "" and name[0] != ".")
        nothing = name == "" or name[0] == "."
        return (takes and reference(rest, name[1:])) or (nothing and reference(rest, name))
    if head == '"':
        return (name[:1] == "." and reference(rest, name[1:])) or (name == "" and reference(rest, name))
    return name[:1] == head and reference(rest, name[1:])


def matches(pattern, name):
    return Pattern(pattern).matches(name)


def test_every_short_pattern_against_every_short_name():
    names = ["".join(letters) for length in range(1, 5) for letters in product("A.", repeat=length)]
    for length in range(1, 5):
        for letters in product('A.*?<>"', repeat=length):
            text = "".join(letters)
            if text != "*.*":
                pattern = Pattern(text)
                for name in names:
                    assert pattern.matches(name) is reference(text, name), (text, name)


@given(st.text('AB.*?<>"', min_size=1, max_size=9), st.text("AB.", min_size=1, max_size=9))
def test_patterns_against_the_reference(pattern, name):
    assert matches(pattern, name) is (pattern == "*.*" or reference(pattern, name))


@given(st.text("ABÄ.", min_size=1, max_size=9), st.data())
def test_patterns_made_from_the_name(name, data):
    """A name matches itself with any of its parts replaced by what stands for them."""
    start = data.draw(st.integers(0, len(name)))
    end = data.draw(st.integers(start, len(name)))
    assert matches(name[:start] + "*" + name[end:], name)
    assert matches(name[:start] + "?" * (end - start) + name[end:], name)
    assert not matches(name + "?", name)
    assert matches(name + '"', name)
    assert matches(name.lower(), name)


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("*", ["a", "a.b", "."], []),
        ("*.*", ["a", "a.b", ".."], []),
        ("*.txt", ["a.txt", "b.c.TXT", ".txt"], ["a.txt2", "txt"]),
        ("a?c", ["abc", "a.c", "AxC"], ["ac", "abbc"]),
        ("<", ["abc", "abc.", ".", ".."], ["a.b"]),  # "*." at a prompt: names without an extension
        ("<.txt", ["a.txt", "a.b.txt"], ["a.txt.b", "txt"]),
        ('<"*', ["abc", "a.b", "a.b.c"], []),
        (">>>>", ["a", "abcd", "a."], ["abcde", "a.b"]),
        (">>>>.txt", ["a.txt", "abcd.txt"], ["abcde.txt", "a.b.txt"]),
        (">*>.x", [".x", "a.x", "ab.x"], ["x"]),
        ('a"b', ["a.b"], ["ab", "a"]),
        ('a"', ["a", "a."], ["ab", "a.b"]),
        ("a>", ["a", "ab", "a."], ["a.b", "abc"]),
        ("plain", ["plain", "PLAIN"], ["plain2", "plai"]),
        ("", [], ["a"]),
    ],
)
def test_patterns(pattern, names, others):
    compiled = Pattern(pattern)
    assert [name for name in names if not compiled.matches(name)] == []
    assert [name for name in others if compiled.matches(name)] == []


def test_case_matters_if_it_is_to():
    pattern = Pattern("*.Txt", case_sensitive=True)
    assert pattern.sensitive
    assert pattern.matches("a.Txt")
    assert not pattern.matches("a.txt")


@pytest.mark.parametrize("text", ["*", "*.*"])
def test_what_matches_everything(text):
    assert Pattern(text).matches_all
    assert not Pattern(text + "a").matches_all


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=80))
@example("\uf022:\uf029.")
@example("a\uef80\uefff")
def test_names_on_disk_to_clients_with_posix_extensions_and_back(name):
    if name in (".", ".."):
        return
    seen = name_for_posix(name)
    assert "/" not in seen
    if len(seen.encode("utf-16-le")) <= 2 * 255:
        assert parse_posix_name(seen) == FileName(name, "", False)
        assert parse_posix_name(f"{seen}/") == FileName(name, "", True)


@pytest.mark.parametrize("name", ["\udcff", "a\udc80b", "\udcc3(", "\udcffend "])
def test_bytes_on_disk_to_clients_with_posix_extensions_and_back(name):
    seen = name_for_posix(name)
    assert seen.encode("utf-16-le")
    assert parse_posix_name(seen).path == name


def test_characters_stay_as_they_are_for_clients_with_posix_extensions():
    for name in ('"*:<>?|\\', "end ", "end.", "\x01", "plain"):
        assert name_for_posix(name) == name
        assert parse_posix_name(name).path == name
    assert parse_posix_name("\uf022\uf028").path == ": "
    assert parse_posix_name("") == FileName("", "", False)
    assert parse_posix_name("a/b:c/d").path == "a/b:c/d"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("/", Status.INVALID_PARAMETER),
        ("/a", Status.INVALID_PARAMETER),
        ("a\0", Status.OBJECT_NAME_INVALID),
        ("a//b", Status.OBJECT_NAME_INVALID),
        (".", Status.OBJECT_NAME_INVALID),
        ("a/..", Status.OBJECT_PATH_SYNTAX_BAD),
        ("\uf029\uf029", Status.OBJECT_NAME_INVALID),
        ("x" * 256, Status.OBJECT_NAME_INVALID),
        ("/".join(["x" * 250] * 20), Status.OBJECT_NAME_INVALID),
    ],
)
def test_no_names_for_clients_with_posix_extensions(text, status):
    with pytest.raises(StatusError) as caught:
        parse_posix_name(text)
    assert caught.value.status == status


@pytest.mark.parametrize(("text", "found"), [("a.b", False), ("", False), *(("a" + wild, True) for wild in '*?<>"')])
def test_wildcards(text, found):
    assert has_wildcards(text) is found


LONG_NAMES = ["a" * 255, "a" * 254 + "b", "a." * 127, "." * 255]


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("*a" * 200 + "b", [1]),
        ("<a" * 200 + "b", [1]),
        ("*" * 30_000 + "b", [1]),
        ("*>" * 15_000 + "b", []),
        ("*>" * 15_000, [0, 1, 2, 3]),
        (">" * 30_000, [0, 1]),
        ("a?" * 15_000, []),
    ],
)
def test_no_pattern_takes_long(text, matching):
    """Each of these keeps a matcher that goes back and tries again busy for years."""
    pattern = Pattern(text)
    assert [index for index, name in enumerate(LONG_NAMES) if pattern.matches(name)] == matching
