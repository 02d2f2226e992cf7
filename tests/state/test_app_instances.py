"""smbport.state.app_instances"""

import pytest

from smbport.state.app_instances import AppInstance
from smbport.wire.status import Status, StatusError

APP, OTHER_APP = bytes([1]) * 16, bytes([2]) * 16
OLD_CLIENT, NEW_CLIENT = bytes([3]) * 16, bytes([4]) * 16
NO_VERSION = (0, 0)


@pytest.fixture
def opened(world):
    """An open of the file "File" in the share "data", of version 2.0 of an application."""
    opened = world.open(world.tree(world.session()), "File")
    world.server.app_instances.add(opened, AppInstance(APP, (2, 0), OLD_CLIENT))
    return opened


def find(world, *, app=APP, version=NO_VERSION, client=NEW_CLIENT, share="data", path="file"):
    instance = AppInstance(app, version, client)
    return world.server.app_instances.find_displaced(instance, world.server.find_share(share), path)


def test_another_client_takes_it_over(world, opened):
    assert find(world) == [opened]


@pytest.mark.parametrize(
    "how",
    [{"client": OLD_CLIENT}, {"app": OTHER_APP}, {"share": "more"}, {"path": "other"}],
    ids=lambda how: next(iter(how)),
)
def test_nothing_to_take_over(world, opened, how):
    assert find(world, **how) == []


@pytest.mark.parametrize("version", [(2, 1), (3, 0), NO_VERSION])
def test_a_newer_version_or_none(world, opened, version):
    assert find(world, version=version) == [opened]


@pytest.mark.parametrize("version", [(2, 0), (1, 9), (0, 1)])
def test_an_older_version_is_refused(world, opened, version):
    with pytest.raises(StatusError) as refusal:
        find(world, version=version)
    assert refusal.value.status == Status.FILE_FORCED_CLOSED


def test_what_has_no_version_is_taken_over_by_any(world):
    opened = world.open(world.tree(world.session()), "file")
    world.server.app_instances.add(opened, AppInstance(APP, NO_VERSION, OLD_CLIENT))
    assert find(world, version=(1, 0)) == [opened]


def test_a_close_ends_it(world, opened):
    other = world.open(opened.tree, "File")
    world.server.app_instances.add(other, AppInstance(APP, (2, 0), OLD_CLIENT))
    world.server.close_open(opened)
    assert find(world) == [other]
    world.server.close_open(other)
    assert find(world) == []
    world.server.app_instances.forget(other)
    assert other.app_instance is None
