"""smbport_linux.ksmbd.lines: what is logged meanwhile is written afterwards."""

import logging

import pytest

from smbport_linux.ksmbd.lines import HeldBack

log = logging.getLogger("smbport")


def test_lines_wait_for_the_end_of_the_block(caplog):
    with HeldBack(log):
        log.warning("first %s", "argument")
        log.warning("second")
        assert caplog.messages == []
    log.warning("third")
    assert caplog.messages == ["first argument", "second", "third"]


def test_a_fault_loses_none(caplog):
    def fail():
        with HeldBack(log):
            log.warning("before it")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert caplog.messages == ["before it"]
    assert log.filters == []
