"""What each key is for.  `docs/configuration.md` is made of this."""

from collections.abc import Iterator
from dataclasses import MISSING
from typing import Final, NamedTuple

from smbport.config.forms import toml
from smbport.config.keys import KEYS, Key

__all__ = ["DOCS", "Setting", "describe_settings", "reference"]

DOCS: Final = {
    "server.platform": "The port to use, as `smbport platforms` lists them. Without it, the one for this system.",
    "server.listen": 'Where to listen: `"PORT"`, `"HOST:PORT"` or `"[IPV6]:PORT"`. '
    "Without it: every address, port 445 where that is allowed, else 4445.",
    "server.users": "The file of users. Without it, the one that `smbport user` uses.",
    "server.log": "How much to log.",
    "server.server_name": "The name that clients see, and that NTLM is bound to.",
    "server.workgroup": "The workgroup or domain that clients see.",
    "server.comment": "A remark beside the server's name.",
    "server.dialects": "The dialects that clients may choose from. Not together with `min_dialect`, `max_dialect`.",
    "server.signing": "Whether every message of a logged-on user must be signed. Without it, logons can be relayed.",
    "server.signing_algorithms": "Algorithms for dialect 3.1.1, best first. Older dialects have one each.",
    "server.encryption": "Whether sessions may or must be encrypted.",
    "server.ciphers": "Ciphers, best first. The dialects 3.0 and 3.0.2 know `aes-128-ccm` only.",
    "server.oplocks": "Clients may cache files by oplocks. Without leases, those of dialects 2.0.2 and 2.1 only, "
    "because Linux' client mistakes the breaks of oplocks when it speaks 3.x.",
    "server.leases": "Clients may cache files by leases, from dialect 2.1 on, and directories, from 3.0 on.",
    "server.multichannel": "Whether a client may use several connections for one session, as dialects 3.x can.",
    "server.hosts_allow": "Only clients at these addresses, or in these networks, may connect. Empty: all.",
    "server.hosts_deny": "Clients at these addresses, or in these networks, may not, whatever `hosts_allow` says.",
    "server.anonymous": "Whether clients may connect without any name, and then only to `IPC$`.",
    "server.administrators": "These users may take ownership, back up and restore, and read and write audit lists, "
    'in shares with `acl` `"nt"`.',
    "server.guest_account": 'The system account (or `"server"`) that guests act as. Without it, there are no guests.',
    "server.guest_on_bad_user": "Whether an unknown user name becomes a guest. A wrong password never does.",
    "server.handle_store": "The file in which opens are remembered that outlive this server. It is made if it is not "
    "there; no two servers can share one.",
    "server.target_name": "The name of the server that an NTLM client signs its logon for: ignored, refused if it is "
    "another server's, or required. Where signing is required, no logon can be passed on anyway.",
    "server.aliases": "Names and addresses by which clients know this server, for `target_name`.",
    "server.kerberos_keytab": "The keytab with this server's keys for [Kerberos](kerberos.md). Without it, users log "
    "on with NTLM only.",
    "server.kerberos_principal": "The principal whose keys of the keytab count, such as "
    '`"cifs/files.example.com@EXAMPLE.COM"`. Without it, those of every `cifs/HOST`.',
    "server.kerberos_realms": "The realms whose users are users of this server, by their names without the realm. "
    "Empty: the realm of the server's key.",
    "server.min_dialect": "The oldest dialect that clients may use.",
    "server.max_dialect": "The newest dialect that clients may use.",
    "share.NAME.path": "The directory to share.",
    "share.NAME.comment": "A remark beside the share's name.",
    "share.NAME.read_only": "Nobody may change anything, but for `write_users`.",
    "share.NAME.guest": "Guests may connect. Needs `server.guest_account`.",
    "share.NAME.hidden": "Not listed to clients. Most clients hide names that end in `$` themselves.",
    "share.NAME.encryption": "Whether clients must encrypt here.",
    "share.NAME.run_as": '`"client"`: as the system account of the user; `"server"`: as this process; else an account. '
    "What changes of the account or its groups counts for logons ten seconds later at most.",
    "share.NAME.valid_users": "Only these users may connect. Empty: every user.",
    "share.NAME.write_users": "These users may write although the share is `read_only`.",
    "share.NAME.hosts_allow": "Only from these addresses, or these networks, may this share be connected to. "
    "Empty: from all that `server.hosts_allow` lets in.",
    "share.NAME.hosts_deny": "Not from these, whatever `hosts_allow` says.",
    "share.NAME.create_mask": "Permission bits that new files may have.",
    "share.NAME.force_mode": "Permission bits that new files always have.",
    "share.NAME.directory_mask": "Permission bits that new directories may have.",
    "share.NAME.force_directory_mode": "Permission bits that new directories always have.",
    "share.NAME.force_group": "The system group that new files belong to.",
    "share.NAME.acl": '`"posix"`: modes and access control lists of the system decide, and descriptors show these; '
    '`"nt"`: descriptors are stored with the files, inherited and obeyed, as Windows does.',
    "share.NAME.acl_attribute": 'The extended attribute for descriptors: `"security.NTACL"`, which takes root and '
    'is where smbd and ksmbd keep them, or `"user.NTACL"`. Without it, the first that this process may write.',
    "share.NAME.access_based_enumeration": "Listings leave out what their reader may not read.",
    "share.NAME.local_changes": (
        '"watched": others than this server may change the files; clients cache only what the platform watches. '
        '"none": nobody else ever does, on your word.'
    ),
    "share.NAME.snapshots": "Where [previous versions](previous-versions.md) are: a path, one part of which has `*` or "
    "`%Y %m %d %H %M %S` for the time. It begins at `path`, or with `/` at the root.",
    "share.NAME.snapshot_times": 'When they were taken is in their names, in `"utc"` or `"local"` time; is when the '
    'directory was `"modified"`; or is in the `info.xml` of `"snapper"`.',
    "share.NAME.dfs": "[Folders that are on other servers](dfs.md), by their paths in the share. Each has one target "
    "or more, which clients try in turn.",
    "share.NAME.local_locks": "What clients lock is locked for local programs as well, and clients wait for what "
    "these have locked (`fcntl`). Reading and writing heed the locks of clients only.",
    "share.NAME.continuous_availability": "Clients may ask for opens that outlive this server and go on with the next "
    "one; what they write is on the disk before it is answered. Needs `server.handle_store`.",
    "share.NAME.case_sensitive": "Names that differ only in case are different names for clients.",
    "share.NAME.short_names": "Files also have names of the form 8.3, for programs that know no others; listings take "
    "longer. Not with `case_sensitive`.",
    "share.NAME.list_ea_sizes": "Listings tell how large the extended attributes of each file are (EaSize), as those "
    "of Windows do, and take longer for it. Without it they say 0, and clients that care ask for each file.",
    "share.NAME.compression": "Data travels compressed, where clients can do that and it pays. It takes much time of "
    "the processor, so it is for slow networks; reads and writes on connections that compress have at most 1 MiB.",
    "share.NAME.macos": "[Apple's extensions](macos.md) for clients that ask for them: Finder info in listings, "
    "resource forks, copies of whole files by the server.",
    "share.NAME.macos_modes": "With `macos`, these clients also see and set the modes of files. Never with "
    '`acl = "nt"`, where modes mean nothing.',
    "share.NAME.time_machine": "macOS may [back up](macos.md) to this share with Time Machine. Needs `macos`.",
    "share.NAME.time_machine_size": "What macOS is told that backups may take here in all; 0: as much as there is.",
    "share.NAME.posix_extensions": "Clients that ask for the POSIX extensions of 3.1.1, such as Linux with the mount "
    'option `posix`, get them: modes, owners, every character in names, case. Not with `acl = "nt"`.',
    "limits.connections": "Connections in all; lowered at start to half of what the system allows this process.",
    "limits.unauthenticated_connections": "Connections on which nobody has logged on yet.",
    "limits.connections_per_address": "Connections from one IPv4 address, or from one /64 network of IPv6.",
    "limits.unauthenticated_per_address": "Those among them on which nobody has logged on yet.",
    "limits.negotiate_timeout_s": "A new connection must negotiate within this time.",
    "limits.session_timeout_s": "A new connection must have a logged-on user within this time.",
    "limits.idle_timeout_s": "A silent connection without open files ends after this time.",
    "limits.send_timeout_s": "A client that takes no byte of an answer for this time is disconnected.",
    "limits.busy_wait_us": "For so many microseconds a server on Linux waits awake for the next request, while those "
    "have been coming that fast: waking up takes as long. 0: it sleeps always, as it does on other systems.",
    "limits.frame_before_session": "The longest message before a user is logged on.",
    "limits.sessions_in_setup": "Unfinished logons on one connection.",
    "limits.sessions_per_connection": "Users on one connection.",
    "limits.sessions": "Sessions in all.",
    "limits.channels_per_session": "Connections that share one session (multichannel).",
    "limits.trees_per_session": "Shares that one session is connected to.",
    "limits.opens_per_session": "Open files and directories of one session.",
    "limits.opens": "Open files and directories in all; lowered at start to what the system allows this process.",
    "limits.credits_initial": "Credits that a connection has before a user is logged on; one pays for 64 KiB of data.",
    "limits.credits": "Credits that a connection has at most.",
    "limits.running_requests": "Requests at work on one connection; further ones are not read until one is done.",
    "limits.async_requests": "Requests of one connection that wait for a lock, a lease break, a change or "
    "an answer of a pipe.",
    "limits.queued_bytes": "Answers that one client has not taken yet; above, its requests are not read.",
    "limits.read_size": "The longest READ.",
    "limits.write_size": "The longest WRITE.",
    "limits.transact_size": "The longest query, directory listing or control call.",
    "limits.compound_elements": "Requests in one compound.",
    "limits.create_contexts": "Contexts in one CREATE.",
    "limits.locks_per_open": "Byte-range locks of one open.",
    "limits.locks_per_file": "Byte-range locks of all opens of one file.",
    "limits.lock_waits_per_file": "Locks of one file that are waited for.",
    "limits.disconnected_opens": "Durable opens in all that wait for their clients; they count as opens, too.",
    "limits.disconnected_opens_per_user": "Durable opens of one user that wait for their clients.",
    "limits.durable_timeout_s": "How long a durable open waits for its client at most. Clients may ask for less, and "
    "get five minutes at most unless they speak 2.x.",
    "limits.watches_per_session": "Directories that one session watches for changes.",
    "limits.watched_directories": "Directories in which the server notices what local programs change.",
    "limits.notify_size": "Changes of one watched directory kept for its client; with more, it must list it anew.",
    "limits.pipes_per_session": "Open pipes of one session.",
    "limits.oplock_break_timeout_s": "A client must give up a cached file within this time when another wants it.",
    "limits.failed_logon_delay_s": "How long the answer to a wrong password is held back.",
    "limits.failed_logons_pending_per_address": "Answers held back for one address; further failures disconnect.",
    "limits.failed_logons_per_connection": "A connection ends after this many wrong passwords.",
}


class Setting(NamedTuple):
    """One key as the manual shows it."""

    key: str  # with its table: "server.signing", "share.NAME.path"
    type: str
    default: str  # as the file would have it; "none"; or "required"
    doc: str


def describe_settings() -> Iterator[Setting]:
    """Every key of the file, in the order of the manual."""
    for table, keys in KEYS.items():
        for name, key in keys.items():
            yield Setting(f"{table}.{name}", key.form.type, _default(key), DOCS[f"{table}.{name}"])


def _default(key: Key) -> str:
    if key.default is MISSING:
        return "required"
    return "none" if key.default is None else toml(key.form.write(key.default))


def reference() -> str:
    """The tables of `docs/configuration.md`, in Markdown."""
    lines: list[str] = []
    for key, form, default, doc in describe_settings():
        table, _, name = key.rpartition(".")
        if f"### `[{table}]`" not in lines:
            lines += ["", f"### `[{table}]`", "", "| key | value | default | meaning |", "|---|---|---|---|"]
        shown = default if default in ("none", "required") else f"`{default}`"
        lines.append(f"| `{name}` | {form} | {shown} | {doc} |")
    return "\n".join(lines[1:]) + "\n"
