from smbport.pipes.levels import Win32Error, answer_level

ROWS = {1: lambda subject: (subject,)}


def test_a_known_level():
    answer = bytes.fromhex("01000000 00000200 07000000 00000000")  # discriminant, pointer, structure, error
    assert answer_level(1, ROWS, 7, {1}) == answer


def test_no_subject_is_a_null_pointer_and_the_given_error():
    assert answer_level(1, ROWS, None, {1}, absent=Win32Error.NET_NAME_NOT_FOUND) == bytes.fromhex(
        "01000000 00000000 06090000"
    )


def test_a_level_that_only_the_union_knows():
    assert answer_level(2, ROWS, 7, {1, 2}) == bytes.fromhex("02000000 00000000 7c000000")


def test_a_level_that_nobody_knows_has_no_arm():
    assert answer_level(3, ROWS, 7, {1, 2}) == bytes.fromhex("03000000 7c000000")
