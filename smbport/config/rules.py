"""Which settings are possible: ranges, names, and keys that need or exclude one another.

Each rule yields a `Problem`; the first becomes a `ConfigError`.  Settings made by hand can be checked as well.
"""

import re
from collections.abc import Iterator
from typing import Final

from smbport.config.forms import LISTS, MASK, toml, wrong
from smbport.config.keys import KEYS, share_path
from smbport.platform import SnapshotLayout
from smbport.state.names import fold
from smbport.state.settings import Limits, Settings, ShareSettings
from smbport.users import user_name_problem
from smbport.wire.constants import Cipher, Dialect

__all__ = ["check_settings", "share_name_problem"]

Problem = tuple[str, object, str]  # key, value as the file has it, what to write instead

CREDIT_SIZE: Final = 65536  # bytes of a request or its answer that one credit pays for: [MS-SMB2] 3.1.5.2
COUNT_RANGE: Final = (1, 2**31 - 1)
SECONDS_RANGE: Final = (0.001, 366 * 86400)
RANGES: Final = {
    "busy_wait_us": (0, 1000),
    "credits": (1, 65535),  # as many as one answer can grant
    "frame_before_session": (16 << 10, 0xFFFFFF),  # a Kerberos ticket; the longest that a frame's length can say
    "read_size": (64 << 10, 8 << 20),
    "write_size": (64 << 10, 8 << 20),
    "transact_size": (64 << 10, 8 << 20),
    "failed_logon_delay_s": (0, 60),
}
"""Bounds of limits; others have COUNT_RANGE or SECONDS_RANGE."""

NOT_ABOVE: Final = (
    ("unauthenticated_connections", "connections"),
    ("connections_per_address", "connections"),
    ("unauthenticated_per_address", "connections_per_address"),
    ("sessions_per_connection", "sessions"),
    ("opens_per_session", "opens"),
    ("credits_initial", "credits"),
    ("locks_per_open", "locks_per_file"),
    ("disconnected_opens_per_user", "disconnected_opens"),
    ("read_size", "queued_bytes"),
    ("transact_size", "queued_bytes"),
)

NETBIOS_NAME: Final = r"(?!\.)[A-Za-z0-9!#$%&'()@^_{}~.-]{1,15}"
NOT_IN_TEXT: Final = r"[\x00-\x1f\x7f\ud800-\udfff]"
NOT_IN_LINK: Final = rf'[\\/:*?"<>|]|{NOT_IN_TEXT}'


def check_settings(settings: Settings, source: str = "settings") -> None:
    """ConfigError for the first setting that is out of range or contradicts another one."""
    for key, value, fix in _problems(settings):
        raise wrong(source, key, value, fix)


def share_name_problem(name: str) -> str | None:
    """The rule that `name` breaks as the name of a share, or None."""
    if not name.strip() or len(name) > 80:
        return "the name of a share has 1 to 80 characters"
    if found := re.search(rf'[\\/:*?"<>|]|{NOT_IN_TEXT}', name):
        return f"the name of a share must not contain {found[0]!r}"
    if name.upper() == "IPC$":
        return "IPC$ is always there and has no directory; choose another name"
    return None


def _problems(settings: Settings) -> Iterator[Problem]:
    yield from _server_problems(settings)
    yield from _limit_problems(settings.limits)
    names: set[str] = set()
    for share in settings.shares:
        yield from _share_problems(share)
        yield from _snapshot_problems(share)
        yield from _link_problems(share)
        yield from _share_user_problems(share)
        yield from _share_server_problems(share, settings)
        if share.name.upper() in names:
            fix = "is another share's name as well; names that differ only in case are the same"
            yield share_path(share.name), share.name, fix
        names.add(share.name.upper())


def _server_problems(settings: Settings) -> Iterator[Problem]:
    for key in ("server_name", "workgroup"):
        name = getattr(settings, key)
        if not re.fullmatch(NETBIOS_NAME, name):
            yield f"server.{key}", name, "must be 1 to 15 of A-Z a-z 0-9 - _ . ! # $ % & ' ( ) @ ^ { } ~, no dot first"
    if problem := _remark_problem(settings.comment):
        yield "server.comment", settings.comment, problem
    for key in LISTS:
        values = getattr(settings, key)
        if not values and (key != "ciphers" or settings.encryption != "off"):
            yield f"server.{key}", [], "must not be empty; leave the key out to allow all"
        if len(set(values)) < len(values):
            yield f"server.{key}", KEYS["server"][key].form.write(values), "must not name anything twice"
    if settings.guest_account == "":
        yield "server.guest_account", "", 'must be a system account or "server"; leave the key out to have no guests'
    if settings.guest_on_bad_user and settings.guest_account is None:
        yield "server.guest_on_bad_user", True, "needs server.guest_account, the system account that guests act as"
    if settings.encryption == "required" and not _can_encrypt(settings):
        yield "server.encryption", "required", NEEDS_DIALECT
    yield from _kerberos_problems(settings)


def _kerberos_problems(settings: Settings) -> Iterator[Problem]:
    for key in ("kerberos_principal", "kerberos_realms"):
        value = getattr(settings, key)
        if value and settings.kerberos_keytab is None:
            form = KEYS["server"][key].form
            yield f"server.{key}", form.write(value), "needs server.kerberos_keytab, the file with this server's keys"
    for realm in settings.kerberos_realms:
        if not realm or "@" in realm:
            yield "server.kerberos_realms", list(settings.kerberos_realms), 'must be realms, such as "EXAMPLE.COM"'


NEEDS_DIALECT: Final = 'needs dialect "3.1.1", or "3.0" or "3.0.2" with cipher "aes-128-ccm"'


def _can_encrypt(settings: Settings) -> bool:
    if Dialect.SMB_3_1_1 in settings.dialects:
        return bool(settings.ciphers)
    return Cipher.AES_128_CCM in settings.ciphers and max(settings.dialects, default=0) >= Dialect.SMB_3_0


def _limit_problems(limits: Limits) -> Iterator[Problem]:
    for key, (form, _) in KEYS["limits"].items():
        value = getattr(limits, key)
        low, high = RANGES.get(key, SECONDS_RANGE if key.endswith("_s") else COUNT_RANGE)
        if not low <= value <= high:  # also if it is not a number
            yield (
                f"limits.{key}",
                form.write(value),
                f"must be from {toml(form.write(low))} to {toml(form.write(high))}",
            )
    for key, bound in NOT_ABOVE:
        if getattr(limits, key) > getattr(limits, bound):
            value, most = (KEYS["limits"][name].form.write(getattr(limits, name)) for name in (key, bound))
            yield f"limits.{key}", value, f"must not be above limits.{bound}, which is {toml(most)}; set both"
    longest = max(limits.read_size, limits.write_size, limits.transact_size)
    if limits.credits * CREDIT_SIZE < longest:
        fix = f"must be at least {-(-longest // CREDIT_SIZE)}, or clients cannot ask for as much as the sizes allow"
        yield "limits.credits", limits.credits, fix


def _share_problems(share: ShareSettings) -> Iterator[Problem]:
    """What is wrong with one share, wherever it is."""
    table = share_path(share.name)
    if problem := share_name_problem(share.name):
        yield table, share.name, problem
    if not share.path or "\0" in share.path:
        yield f"{table}.path", share.path, "must be the path of a directory"
    if problem := _remark_problem(share.comment):
        yield f"{table}.comment", share.comment, problem
    for key, (form, _) in KEYS["share.NAME"].items():
        value = getattr(share, key)
        if form is MASK and not 0 <= value <= 0o7777:
            yield f"{table}.{key}", form.write(value), f"must be {form.type}"
    for key in ("run_as", "force_group"):
        if getattr(share, key) == "":
            yield f"{table}.{key}", "", "must not be empty; leave the key out"
    if share.force_group is not None and share.run_as == "server":
        yield (
            f"{table}.force_group",
            share.force_group,
            'needs run_as = "client" or an account; the server keeps its own',
        )


def _snapshot_problems(share: ShareSettings) -> Iterator[Problem]:
    table = share_path(share.name)
    if share.snapshots is None:
        if share.snapshot_times != "utc":
            yield f"{table}.snapshot_times", share.snapshot_times, "needs snapshots, the path where they are"
        return
    try:
        SnapshotLayout.parse(share.snapshots, share.snapshot_times)
    except ValueError as error:
        yield f"{table}.snapshots", share.snapshots, str(error)


def _link_problems(share: ShareSettings) -> Iterator[Problem]:
    key = f"{share_path(share.name)}.dfs"
    folded = [fold(link.path) for link in share.dfs]
    for path, targets in share.dfs:
        parts = path.split("/")
        if not all(map(_fits_link, parts)):
            yield key, path, "must be a path in the share"
        above = {fold("/".join(parts[:count])) for count in range(1, len(parts))}
        if folded.count(fold(path)) > 1 or above & set(folded):
            yield key, path, "is, or is below, another link; names that differ only in case are the same"
        for target in targets:
            names = target.split("\\")
            if len(names) < 2 or not all(map(_fits_link, names)):
                yield key, target, 'must be a share of a server, or a folder in one, such as "//server/share/folder"'


def _fits_link(part: str) -> bool:
    return part not in ("", ".", "..") and not re.search(NOT_IN_LINK, part)


def _share_user_problems(share: ShareSettings) -> Iterator[Problem]:
    table = share_path(share.name)
    valid, writing = ({name.casefold() for name in names} for names in (share.valid_users, share.write_users))
    for key, names, distinct in (
        ("valid_users", share.valid_users, valid),
        ("write_users", share.write_users, writing),
    ):
        for name in names:
            if problem := user_name_problem(name):
                yield f"{table}.{key}", list(names), f"{name!r}: {problem}"
        if len(distinct) < len(names):
            yield f"{table}.{key}", list(names), "must not name anybody twice"
    if writing and not share.read_only:
        yield f"{table}.write_users", list(share.write_users), "needs read_only = true; without it, all users may write"
    if valid and not writing <= valid:
        fix = f"{min(writing - valid)!r} cannot connect; add the name to valid_users"
        yield f"{table}.write_users", list(share.write_users), fix


def _share_server_problems(share: ShareSettings, settings: Settings) -> Iterator[Problem]:
    """What is wrong with a share on this server."""
    table = share_path(share.name)
    if share.guest and settings.guest_account is None:
        yield f"{table}.guest", True, "needs server.guest_account, the system account that guests act as"
    if share.guest and "required" in (share.encryption, settings.encryption):
        yield f"{table}.guest", True, "guests have no key to encrypt with; set it to false or do not require encryption"
    if share.time_machine and not share.macos:
        yield f"{table}.time_machine", True, "needs macos = true"
    if share.time_machine_size and not share.time_machine:
        size = KEYS["share.NAME"]["time_machine_size"].form.write(share.time_machine_size)
        yield f"{table}.time_machine_size", size, "needs time_machine = true"
    if share.time_machine_size < 0:
        yield f"{table}.time_machine_size", share.time_machine_size, "must not be negative"
    if share.short_names and share.case_sensitive:
        yield f"{table}.short_names", True, "names of the form 8.3 have no case; set it or case_sensitive to false"
    if share.continuous_availability and settings.handle_store is None:
        fix = "needs server.handle_store, the file that remembers what is open when the server dies"
        yield f"{table}.continuous_availability", True, fix
    if share.encryption == "required" and settings.encryption == "off":
        yield f"{table}.encryption", "required", 'needs server.encryption = "offered"'
    if share.encryption == "required" and not _can_encrypt(settings):
        yield f"{table}.encryption", "required", NEEDS_DIALECT


def _remark_problem(text: str) -> str | None:
    if len(text) > 256 or re.search(NOT_IN_TEXT, text):
        return "must be one line of at most 256 characters"
    return None
