"""smbport itself: names that are there and cost nothing until they are used."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import smbport


@pytest.mark.parametrize("name", smbport.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(smbport, name)
    if name != "__version__":
        assert value.__name__ == name
        assert value.__module__.startswith("smbport.")


def test_what_is_public_has_a_home() -> None:
    assert set(smbport._HOMES) == set(smbport.__all__) - {"__version__"}


def test_there_are_no_other_names() -> None:
    with pytest.raises(AttributeError, match="module 'smbport' has no attribute 'Amiga'"):
        smbport.Amiga  # type: ignore[attr-defined]  # noqa: B018


def test_star_gives_them_all() -> None:
    names: dict[str, object] = {}
    exec("from smbport import *", names)
    assert set(smbport.__all__) <= set(names)


def test_the_version_is_the_installed_one() -> None:
    assert smbport.__version__ == version("smbport")


def test_nothing_is_imported_before_it_is_used() -> None:
    """Some ports must prepare the event loop before trio is imported."""
    script = """
import sys
import smbport
before = set(sys.modules)
print(sorted(name for name in before if name.startswith("smbport")), "trio" in before)
smbport.Settings(), smbport.Limits(), smbport.ShareSettings(name="a", path="b"), smbport.MemoryUsers
print("trio" in sys.modules)
smbport.serve
print("trio" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['smbport'] False", "False", "True"]
