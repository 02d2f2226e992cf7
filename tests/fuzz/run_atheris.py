"""The same entry function under atheris, by hand: `pip install atheris; python tests/fuzz/run_atheris.py`"""

import sys

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["smbport"]):
    from connection import drive

atheris.Setup(sys.argv, drive)
atheris.Fuzz()
