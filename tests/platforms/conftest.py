"""What tests of more than one port use."""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.platforms.freebsd.standin import CannotBuild, build

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> str:
    """QNX's libraries, as far as the port to QNX calls them: the path of one that has it all."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    library = tmp_path_factory.mktemp("qnx") / "stand_in.so"
    options = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, "-o", library, HERE / "qnx/stand_in.c"], check=True)
    return str(library)


@pytest.fixture(scope="session")
def freebsd_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], str]:
    """FreeBSD's C library, as far as the port calls it: the path of that of a release."""

    @cache
    def find(release: int) -> str:
        try:
            return str(build(tmp_path_factory.mktemp(f"freebsd{release}"), release))
        except CannotBuild as error:
            pytest.skip(str(error))

    return find
