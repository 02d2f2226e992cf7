"""8.3 names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.state.names import fold
from smbport.state.short_names import fits_dos, looks_short, short_name


@pytest.mark.parametrize("name", ["a", "README.TXT", "readme.txt", "12345678.123", "~!@#$%^&.()-", "_", ".", ".."])
def test_these_need_none(name: str) -> None:
    assert fits_dos(name)


@pytest.mark.parametrize(
    "name", ["", "123456789", "a.html", "a.b.c", ".profile", "a.", "a b", "a+b", "ä", "...", "a.b ", "\uf022"]
)
def test_these_need_one(name: str) -> None:
    assert not fits_dos(name)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Quarterly report.docx", "QJDGYR~1.DOC"),
        ("verylongfilename", "V2BCGA~Y"),
        (".profile", "PVZ2E3~O"),
        ("a b", "ANJP2L~6"),
        ("archive.tar.gz", "AFRIXI~G.GZ"),
        ("ärger.txt", "R53YK4~C.TXT"),
        ("...", "_KWRAD~J"),
        ("日本語", "_YLXC2~R"),
    ],
)
def test_the_scheme_stays_as_it_is(name: str, short: str) -> None:
    """Programs keep short names: a version that makes others breaks them."""
    assert short_name(name) == short


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_short_name_fits_and_is_known_as_one(name: str) -> None:
    short = short_name(name)
    assert fits_dos(short)
    assert looks_short(short)
    assert looks_short(short.lower())
    assert short == fold(short) == short_name(fold(name))


@pytest.mark.parametrize("name", ["QJDGYR~1", "qjdgyr~1.doc", "_AAAAA~0.X"])
def test_what_looks_short(name: str) -> None:
    assert looks_short(name)


@pytest.mark.parametrize(
    "name", ["", "~", "REPORT.DOC", "QUARTE~10", "REPO~1.DOC", "QJDGYR~1.DOCX", "QJDGYR~1.", "ÄJDGYR~1"]
)
def test_what_does_not(name: str) -> None:
    assert not looks_short(name)
