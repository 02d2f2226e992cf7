"""smbport.config.manual and docs/configuration.md: every key has its text, and the page is true."""

import re
from pathlib import Path

import pytest

from smbport.config import describe_settings, parse, reference
from smbport.config.keys import KEYS
from smbport.config.manual import DOCS

PAGE = (Path(__file__).parents[2] / "docs/configuration.md").read_text("utf-8")
UPDATE = "put what smbport.config.reference() returns below 'Every key' in docs/configuration.md"


def test_every_key_has_a_text_and_nothing_else_has():
    assert set(DOCS) == {f"{table}.{key}" for table, keys in KEYS.items() for key in keys}
    assert all(text.endswith(".") and "|" not in text for text in DOCS.values())


def test_settings_are_described_with_type_and_default():
    described = {setting.key: setting for setting in describe_settings()}
    assert set(described) == set(DOCS)
    assert described["limits.read_size"][1:3] == ('bytes, such as 65536 or "64KiB"', '"8MiB"')
    assert described["server.guest_account"].default == "none"
    assert described["share.NAME.path"].default == "required"
    assert described["share.NAME.path"].doc == DOCS["share.NAME.path"]


def test_the_page_has_the_reference_as_it_is_now():
    assert PAGE.endswith(f"## Every key\n\n{reference()}"), UPDATE


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_can_be_used(example):
    assert parse(example, "docs/configuration.md").settings.shares


def test_the_complete_example_means_what_it_says():
    example = re.search(r"## A complete example.*?```toml\n(.*?)```", PAGE, re.DOTALL)
    configuration = parse(example[1], "docs/configuration.md")
    assert configuration.listen == (("192.0.2.10", 445), ("2001:db8::10", 445))
    assert [share.name for share in configuration.settings.shares] == ["projects", "archive", "public", "payroll$"]
    assert configuration.settings.shares[0].force_directory_mode == 0o2770


def test_the_error_messages_on_the_page_are_the_real_ones():
    for line in re.findall(r"^smbport\.toml: (\w+)\.(\w+) = (.*?): (.*)$", PAGE, re.MULTILINE):
        table, key, value, fix = line
        with pytest.raises(Exception, match=re.escape(f"{table}.{key} = {value}: {fix}")):
            parse(f"[{table}]\n{key} = {value}", "smbport.toml")
