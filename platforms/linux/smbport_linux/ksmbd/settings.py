"""What becomes of each key of the configuration under ksmbd.  docs/kernel-mode.md shows this table."""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from smbport.kernel import KernelSetting
from smbport_linux.ksmbd.releases import Release
from smbport_linux.ksmbd.tickets import find_support

__all__ = ["make_settings"]

DIALECTS: Final = (0x202, 0x210, 0x300, 0x302, 0x311)
ALL_DEVICES: Final = 'write ":445" for all, or network devices, such as "eth0:445"'
NOT_ENFORCED: Final = "ksmbd serves clients that do not encrypt all the same"
NO_BOUND: Final = "ksmbd has a bound of its own, or none, and cannot be told"
HIDE_UNREADABLE: Final = (7, 2)

Problem = Callable[[Any, Mapping[str, Any]], str | None]


def make_settings(release: Release) -> Mapping[str, KernelSetting]:
    """The table for one kernel: every key, in the order of the manual."""
    return _server(release) | _shares(release) | _limits(release)


def _yes(how: str, problem: Problem = lambda value, others: None) -> KernelSetting:
    return KernelSetting(how, True, problem)


def _no(instead: str, why: str) -> KernelSetting:
    """A setting of which no value but the default can be had."""
    return KernelSetting(instead, False, lambda value, others: why)


def _own(instead: str, within: str = "") -> KernelSetting:
    """A bound that ksmbd does not have.  What may not be above another bound is one already if it is as high."""

    def problem(value: float, others: Mapping[str, Any]) -> str | None:
        return None if within and value >= others[within] else NO_BOUND

    return KernelSetting(instead, False, problem)


def _host_rules(table: str, release: Release) -> dict[str, KernelSetting]:
    if release.tells_addresses:
        rule = _yes("Looked at when a client connects to a share or to IPC$, not before.")
    else:
        rule = _no("No rule: ksmbd tells no addresses from Linux 6.18 on.", "this kernel tells no addresses")
    return {f"{table}.hosts_allow": rule, f"{table}.hosts_deny": rule}


def _server(release: Release) -> dict[str, KernelSetting]:
    return {
        "server.platform": _yes("`linux-kernel`."),
        "server.listen": _yes("One port, on all network devices or on those named: `eth0:445`.", _listen_problem),
        "server.users": _yes("As in user space; changes hold from the next logon on."),
        "server.log": _yes("What smbport says; ksmbd itself writes to the kernel's log."),
        "server.server_name": _yes("As in user space."),
        "server.workgroup": _yes("As in user space."),
        "server.comment": _yes("As in user space."),
        "server.dialects": _yes("A range from 2.1 on; 2.0.2 is never offered.", _dialect_problem),
        "server.signing": _yes(
            "`required` is asked of clients, but requests that are not signed are taken all the same (Linux 7.3: by "
            "most dialects); `offered` signs if the client requires it."
        ),
        "server.signing_algorithms": _no(
            "The client's first choice of AES-CMAC and HMAC-SHA256.", "ksmbd lets clients choose"
        ),
        "server.encryption": _yes(
            "`offered` and `off`. `required` is asked of clients, but requests that are not encrypted are taken all "
            "the same.",
            _encryption_problem,
        ),
        "server.ciphers": _no("The client's first choice of all four.", "ksmbd lets clients choose"),
        "server.oplocks": _yes("On or off for all dialects; off only together with leases.", _oplock_problem),
        "server.leases": _yes("On or off, and durable handles with them."),
        "server.multichannel": _yes("As in user space."),
        **_host_rules("server", release),
        "server.kerberos_keytab": _yes(
            "As in user space, if the kernel was built with it: `smbport platforms` says so.", _kerberos_problem
        ),
        "server.kerberos_principal": _yes("As in user space."),
        "server.kerberos_realms": _yes("As in user space."),
        "server.handle_store": _no("No handle outlives the server.", "ksmbd keeps no handles on disk"),
        "server.target_name": _no("Ignored.", "ksmbd checks proofs itself and looks at no target"),
        "server.aliases": _no("Ignored, as `server.target_name` is.", "ksmbd looks at no target of a logon"),
        "server.anonymous": _yes("As in user space."),
        "server.administrators": _no("Nobody has more privileges than others.", "ksmbd knows no privileges"),
        "server.guest_account": _yes("As in user space."),
        "server.guest_on_bad_user": _yes("As in user space."),
        "server.min_dialect": _yes("From 2.1 on; 2.0.2 is never offered."),
        "server.max_dialect": _yes("From 2.1 on."),
    }


def _shares(release: Release) -> dict[str, KernelSetting]:
    if release.series >= HIDE_UNREADABLE:
        enumeration = _yes("By ksmbd, from Linux 7.2 on.")
    else:
        enumeration = _no("Everything is listed; Linux 7.2 and later can hide.", "this kernel's ksmbd cannot")
    return {
        "share.NAME.path": _yes("Looked up by the kernel in the root of process 1, with the rights of the user."),
        "share.NAME.comment": _yes("As in user space."),
        "share.NAME.read_only": _yes("As in user space."),
        "share.NAME.guest": _yes("As in user space."),
        "share.NAME.hidden": _yes("As in user space."),
        "share.NAME.encryption": _no("As `server.encryption` says, for all shares.", NOT_ENFORCED),
        "share.NAME.run_as": _yes("As in user space, for accounts without further groups; users keep their groups."),
        "share.NAME.valid_users": _yes("As in user space."),
        "share.NAME.write_users": _yes("As in user space."),
        **_host_rules("share.NAME", release),
        "share.NAME.create_mask": _yes(
            "As in user space, but files get execute bits as well, without which ksmbd lets nobody run a program; "
            "clients with POSIX extensions can take bits away."
        ),
        "share.NAME.force_mode": _yes("As in user space."),
        "share.NAME.directory_mask": _yes("As in user space."),
        "share.NAME.force_directory_mode": _yes("As in user space."),
        "share.NAME.force_group": _yes("As in user space."),
        "share.NAME.acl": _no(
            "`posix` always.", "ksmbd looks at one entry of a descriptor only, and takes SIDs for numbers of accounts"
        ),
        "share.NAME.acl_attribute": _no("No descriptors are stored.", 'ksmbd cannot do what acl = "nt" means'),
        "share.NAME.access_based_enumeration": enumeration,
        "share.NAME.continuous_availability": _no("Handles do not outlive the server.", "ksmbd keeps nothing on disk"),
        "share.NAME.local_changes": _yes(
            "Taken to be `none`: ksmbd watches nothing. Where local programs change files, forbid caching by "
            "`server.oplocks = false` and `server.leases = false`."
        ),
        "share.NAME.snapshots": _no("No previous versions.", "ksmbd knows no snapshots"),
        "share.NAME.snapshot_times": _no("No previous versions.", "ksmbd knows no snapshots"),
        "share.NAME.dfs": _no("No links.", "ksmbd refuses DFS"),
        "share.NAME.local_locks": _yes("Taken to be `true`: what ksmbd locks, local programs see."),
        "share.NAME.case_sensitive": _no("Case never matters.", "ksmbd ignores case always"),
        "share.NAME.short_names": _no("There are none.", "ksmbd looks no file up by them"),
        "share.NAME.list_ea_sizes": _no("They are 0 there.", "ksmbd's listings do not tell them"),
        "share.NAME.compression": _no("Never.", "ksmbd cannot be told to"),
        "share.NAME.macos": _no("No extensions of Apple's.", "ksmbd knows none of Apple's extensions"),
        "share.NAME.macos_modes": _no("None are shown.", "ksmbd knows none of Apple's extensions"),
        "share.NAME.time_machine": _no("No backups of Time Machine.", "ksmbd knows none of Apple's extensions"),
        "share.NAME.time_machine_size": _no("No bound.", "ksmbd tells the size of the volume"),
        "share.NAME.posix_extensions": _no("As ksmbd does them.", "ksmbd offers them always"),
    }


def _limits(release: Release) -> dict[str, KernelSetting]:
    if release.caps_sessions:
        sessions = _yes("By ksmbd, from Linux 7.3 on.")
    else:
        sessions = _own("Not bounded; Linux 7.3 and later can.", "sessions")
    own = "ksmbd's own bound, or none."
    none = _own(own)
    return {
        "limits.connections": _yes("By ksmbd."),
        "limits.unauthenticated_connections": _own(own, "connections"),
        "limits.connections_per_address": _yes("By ksmbd."),
        "limits.unauthenticated_per_address": _own(own, "connections_per_address"),
        "limits.negotiate_timeout_s": none,
        "limits.session_timeout_s": none,
        "limits.idle_timeout_s": _yes("By ksmbd, in whole minutes, rounded up."),
        "limits.send_timeout_s": _own("ksmbd's own."),
        "limits.busy_wait_us": KernelSetting(
            "ksmbd always sleeps.", False, lambda value, others: "ksmbd sleeps between requests" if value else None
        ),
        "limits.frame_before_session": _own("ksmbd's own."),
        "limits.sessions_in_setup": none,
        "limits.sessions_per_connection": sessions,
        "limits.sessions": _yes("Counted as long as they are connected to shares."),
        "limits.channels_per_session": none,
        "limits.trees_per_session": _yes("As in user space."),
        "limits.opens_per_session": _own("`limits.opens` bounds all.", "opens"),
        "limits.opens": _yes("By ksmbd; not more than the system's limit of open files."),
        "limits.credits_initial": _own("ksmbd's own.", "credits"),
        "limits.credits": _yes("By ksmbd."),
        "limits.running_requests": _own("Bounded by credits."),
        "limits.async_requests": _own("Bounded by credits."),
        "limits.queued_bytes": _own("Bounded by credits."),
        "limits.read_size": _yes("By ksmbd."),
        "limits.write_size": _yes("By ksmbd."),
        "limits.transact_size": _yes("By ksmbd."),
        "limits.compound_elements": none,
        "limits.create_contexts": none,
        "limits.locks_per_open": none,
        "limits.locks_per_file": none,
        "limits.lock_waits_per_file": none,
        "limits.disconnected_opens": none,
        "limits.disconnected_opens_per_user": none,
        "limits.durable_timeout_s": _own("ksmbd's own."),
        "limits.watches_per_session": _own("ksmbd tells no changes."),
        "limits.watched_directories": _own("ksmbd watches none."),
        "limits.notify_size": _own("ksmbd tells no changes."),
        "limits.pipes_per_session": _own("4096 in all: ksmbd does not say whose they are."),
        "limits.oplock_break_timeout_s": _own("35 s."),
        "limits.failed_logon_delay_s": _own("None at first, then 5 s; see `limits.failed_logons_per_connection`."),
        "limits.failed_logons_pending_per_address": none,
        "limits.failed_logons_per_connection": _yes(
            "After so many wrong passwords of a user in a row, each further one costs 5 s and the connection."
        ),
    }


def _listen_problem(listen: tuple[tuple[str | None, int], ...], others: Mapping[str, Any]) -> str | None:
    devices = {name for _, name in socket.if_nameindex()}
    for host, port in listen:
        if port == 0:
            return "ksmbd cannot take a free port: name one"
        if host is not None and host not in devices:
            return f"ksmbd listens on network devices, not on addresses, and {host!r} is none: {ALL_DEVICES}"
    if len({port for _, port in listen}) > 1:
        return "ksmbd listens on one port"
    return None


def _dialect_problem(dialects: tuple[int, ...], others: Mapping[str, Any]) -> str | None:
    if max(dialects) == DIALECTS[0]:
        return "ksmbd does not speak 2.0.2"
    if any(dialect not in dialects for dialect in DIALECTS if min(dialects) < dialect < max(dialects)):
        return "ksmbd speaks all dialects between the oldest and the newest"
    return None


def _oplock_problem(oplocks: bool, others: Mapping[str, Any]) -> str | None:
    return "ksmbd grants no leases without oplocks: set server.leases = false as well" if others["leases"] else None


def _kerberos_problem(keytab: str, others: Mapping[str, Any]) -> str | None:
    if find_support(os.uname().release) is False:
        return "ksmbd of this kernel was built without Kerberos (SMB_SERVER_KERBEROS5)"
    return None


def _encryption_problem(encryption: str, others: Mapping[str, Any]) -> str | None:
    return NOT_ENFORCED if encryption == "required" else None
