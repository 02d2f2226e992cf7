"""Wrapping: every call of the contract passes by, whatever handed the object out."""

import dataclasses

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE, Account
from smbport.testing.calls import METHODS, role_of, unwrap, wrap
from smbport.testing.memory import MemoryPlatform

BOTH = ACCESS_READ + ACCESS_WRITE


@pytest.fixture
def calls():
    return []


@pytest.fixture
def platform(calls):
    def intercept(call):
        calls.append(call)
        return call.proceed()

    return wrap(MemoryPlatform(accounts=[Account("alice", 1, 1)]), intercept)


def test_the_contract_is_known():
    assert set(METHODS["Sockets"]) == {"listen", "inherited", "tune", "interfaces", "ready_set", "unacknowledged"}
    assert {"stat", "read_at", "close"} <= set(METHODS["File"])
    assert set(METHODS["Platform"]) == {"open_volume"}


def test_calls_on_all_that_is_handed_out_pass_by(platform, calls):
    volume = platform.open_volume("v").acting_as(platform.account)
    file = volume.create("f", BOTH, 0o644)
    file.write_at(0, b"data")
    volume.open("f", BOTH).close()
    volume.make_directory("d", 0o755).rewind()
    platform.attributes.set(file, "a", b"")
    assert platform.clone.copy(file, 0, target=file, target_offset=4, length=4) == 4
    assert platform.identity.find_account("alice").uid == 1
    with platform.identity.become(platform.account):
        assert platform.sockets.inherited() == []
    assert [call.path for call in calls] == [
        "Platform.open_volume",
        "Volume.acting_as",
        "Volume.create",
        "File.write_at",
        "Volume.open",
        "File.close",
        "Volume.make_directory",
        "Directory.rewind",
        "Attributes.set",
        "Clone.copy",
        "Identity.find_account",
        "Identity.become",
        "Sockets.inherited",
    ]


def test_what_is_no_call_is_that_of_the_inner_object(platform, calls):
    volume = platform.open_volume("v")
    file = volume.create("f", BOTH, 0o644)
    assert platform.name == "memory"
    assert platform.zero_copy is None
    assert "zero_copy" in platform.absent
    assert platform.attributes.max_value == 65536
    assert volume.features.file_system == "memory"
    assert not file.is_directory
    del calls[:]
    volume.plant_link("l", "f")
    assert not calls
    with pytest.raises(AttributeError):
        _ = file.surprise


def test_calls_tell_their_arguments_and_can_be_changed():
    def intercept(call):
        assert call.arguments == {"offset": 0, "length": 4, "wait": False}
        return call.replace(length=2).proceed()

    file = MemoryPlatform().open_volume("v").create("f", BOTH, 0o644)
    file.write_at(0, b"data")
    assert wrap(file, intercept).read_at(0, length=4) == b"da"


def test_which_calls_may_block(platform, calls):
    volume = platform.open_volume("v")
    volume.stat("")
    assert [call.may_block for call in calls] == [False, True]


def test_arguments_that_do_not_fit_are_a_bug(platform):
    volume = platform.open_volume("v")
    with pytest.raises(TypeError):
        volume.stat()


def test_features_can_be_altered():
    platform = wrap(
        MemoryPlatform(),
        lambda call: call.proceed(),
        alter_features=lambda features: dataclasses.replace(features, case_sensitive=False),
    )
    volume = platform.open_volume("v")
    assert not volume.features.case_sensitive
    assert not volume.acting_as(platform.account).features.case_sensitive


def test_layers_come_off_one_by_one():
    platform = MemoryPlatform()
    inner = wrap(platform, lambda call: call.proceed())
    outer = wrap(inner, lambda call: call.proceed())
    assert unwrap(outer) is inner
    assert unwrap(inner) is platform
    assert unwrap(platform) is platform
    assert unwrap(outer.open_volume("v").create("f", BOTH, 0o644)).is_directory is False
    file = outer.open_volume("v").open("f", BOTH)
    outer.attributes.set(file, "a", b"1")
    assert outer.attributes.get(file, "a") == b"1"


def test_roles():
    platform = MemoryPlatform()
    volume = platform.open_volume("v")
    file, directory = volume.create("f", BOTH, 0o644), volume.open("", BOTH)
    assert [role_of(value) for value in (platform, volume, file, directory)] == [
        "Platform",
        "Volume",
        "File",
        "Directory",
    ]
