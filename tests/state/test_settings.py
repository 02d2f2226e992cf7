"""smbport.state.settings: what holds if nobody says anything."""

from dataclasses import FrozenInstanceError, fields

import pytest

from smbport.state.settings import ALL_DIALECTS, Limits, Settings, ShareSettings
from smbport.wire.constants import Cipher, Dialect, SigningAlgorithm


def test_the_defaults_are_safe():
    settings = Settings()
    assert settings.signing == "required"
    assert settings.encryption == "offered"
    assert settings.anonymous == "off"
    assert settings.guest_account is None
    assert not settings.guest_on_bad_user
    assert settings.shares == ()


def test_a_share_admits_users_and_nobody_else():
    share = ShareSettings(name="data", path="/srv/data")
    assert not share.guest
    assert share.run_as == "client"
    assert not share.create_mask & 0o022
    assert not share.directory_mask & 0o022
    assert not share.force_mode | share.force_directory_mode


@pytest.mark.parametrize("limit", fields(Limits), ids=lambda limit: limit.name)
def test_everything_is_bounded(limit):
    assert limit.default > 0


def test_the_limits_fit_each_other():
    limits = Limits()
    assert limits.unauthenticated_per_address <= limits.connections_per_address <= limits.connections
    assert limits.unauthenticated_per_address <= limits.unauthenticated_connections <= limits.connections
    assert limits.negotiate_timeout_s <= limits.session_timeout_s < limits.idle_timeout_s
    assert limits.sessions_per_connection <= limits.sessions
    assert limits.opens_per_session <= limits.opens
    assert limits.credits_initial <= limits.credits < 1 << 16
    assert limits.queued_bytes > limits.read_size
    assert limits.failed_logons_pending_per_address < limits.failed_logons_per_connection


def test_the_newest_comes_first_where_order_counts():
    settings = Settings()
    assert settings.ciphers[0] == Cipher.AES_128_GCM
    assert settings.signing_algorithms[0] == SigningAlgorithm.AES_GMAC
    assert settings.dialects == ALL_DIALECTS == tuple(sorted(ALL_DIALECTS))
    assert ALL_DIALECTS[-1] == Dialect.SMB_3_1_1


@pytest.mark.parametrize("value", [Limits(), Settings(), ShareSettings(name="a", path="b")])
def test_settings_do_not_change(value):
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, None)


def test_settings_have_names_only():
    with pytest.raises(TypeError):
        ShareSettings("data", "/srv/data")
