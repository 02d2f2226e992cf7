"""The port to QNX over a library that has QNX's functions, prototypes and structures."""

import ctypes

import pytest

from smbport_qnx.calls import Calls


@pytest.fixture
def library(stand_in: str) -> ctypes.CDLL:
    """The library itself, for its variables: as it was when it was new."""
    loaded = ctypes.CDLL(stand_in, use_errno=True)
    (ctypes.c_char * 16).in_dll(loaded, "base_type").value = b"qnx6"
    ctypes.c_int.in_dll(loaded, "lies").value = 0
    return loaded


@pytest.fixture
def calls(library: ctypes.CDLL) -> Calls:
    return Calls([library])
