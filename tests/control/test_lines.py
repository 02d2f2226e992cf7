"""smbport.control.lines: what is noted is written later, with the time at which it happened."""

import logging

from smbport.control import lines as module
from smbport.control.lines import Lines


def test_lines_are_written_when_there_is_time(caplog, monkeypatch):
    caplog.set_level("INFO")
    lines = Lines()
    monkeypatch.setattr(module, "time", iter([1000.25, 1001.5]).__next__)
    lines.warn("first %s", "argument")
    lines.inform("second")
    assert caplog.messages == []
    lines.write()
    assert caplog.messages == ["first argument", "second"]
    assert [(line.levelno, line.created, line.msecs) for line in caplog.records] == [
        (logging.WARNING, 1000.25, 250.0),
        (logging.INFO, 1001.5, 500.0),
    ]
    lines.write()
    assert len(caplog.messages) == 2


def test_what_is_not_wanted_is_not_written(caplog):
    caplog.set_level("WARNING")
    lines = Lines()
    lines.inform("nobody wants it")
    lines.write()
    assert caplog.messages == []
