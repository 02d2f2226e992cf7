"""CREATE: from a name to an open.  [MS-SMB2] 3.3.5.9

The steps, one function each:

    check_request     what can be refused without looking at the file system
    parse_contexts    create contexts that are understood; malformed ones refuse the request
    plan              access, disposition and options as the platform steps need them
    open_node         find, open or make the file: may leave for a thread
    admit             share modes, pending delete, oplocks of others; if one must be broken first, wait and open again
    join              the new Open
    overwrite         truncate, if the disposition says so; may leave for a thread too
    set_new_eas       the extended attributes of a new file
    attend_cached     watch it for changes by others
    grant             what the client may cache
    respond           the response and its contexts
"""

from dataclasses import replace
from typing import Final

from smbport.commands.attributes import file_attributes
from smbport.commands.call import Call, Reply, log
from smbport.commands.close import close_untold, delete_doomed
from smbport.commands.contexts.aapl import take_query
from smbport.commands.contexts.request import Contexts, parse_contexts
from smbport.commands.contexts.response import response_contexts
from smbport.commands.create_pipe import create_pipe
from smbport.commands.dfs_names import local_name
from smbport.commands.durable import creating, displace, find_existing, promise
from smbport.commands.extended_attributes import check_new_eas, set_new_eas
from smbport.commands.fsctl.storage import compression_power
from smbport.commands.grant import AskedLease, asked_lease, check_lease_key, find_lease, grant
from smbport.commands.lookout import attend_cached
from smbport.commands.macos import check_written
from smbport.commands.open_node import CREATING, Opened, Plan, StoppedOnLink, open_node
from smbport.commands.oplock_break import outlast
from smbport.commands.posix import answer_link, drop_unless_agreed, name_of_create, new_mode
from smbport.commands.previous_versions import (
    TOKEN_MARK,
    ask_nothing_lasting,
    enter_snapshot,
    names_snapshot,
    split_token,
)
from smbport.commands.rights import ANY_REFUSED_OPTION, CREATE_RIGHTS, REFUSED_OPTIONS
from smbport.commands.steps import blocking
from smbport.commands.streams import (
    check_stream_name,
    clear_streams,
    doom_streams,
    find_stream_of,
    give_back,
    open_file_and_stream,
    remove_streams,
    streams_of,
)
from smbport.platform import Kind
from smbport.security.access import Privilege, map_generic
from smbport.state.breaks import break_caches
from smbport.state.changes import name_of
from smbport.state.names import FileName
from smbport.state.open import FileOpen
from smbport.state.oplocks import CHANGE, NEED_CLOSED, OPEN, READ_SECURITY, Blocker, Contention, is_stat_open
from smbport.state.server import Server
from smbport.state.tree import TreeConnect
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import (
    Access,
    CreateAction,
    CreateDisposition,
    CreateOption,
    FileAttribute,
    ImpersonationLevel,
    OplockLevel,
    ShareAccess,
)
from smbport.wire.create import CreateRequest, create_contexts, create_name
from smbport.wire.create_response import pack_create_response
from smbport.wire.status import Status, StatusError
from smbport.wire.text import filetime_from_ns

__all__ = ["create"]

_OVERWRITING: Final = (CreateDisposition.SUPERSEDE, CreateDisposition.OVERWRITE, CreateDisposition.OVERWRITE_IF)
_SETTABLE: Final = (
    FileAttribute.READONLY | FileAttribute.HIDDEN | FileAttribute.SYSTEM | FileAttribute.ARCHIVE
    | FileAttribute.TEMPORARY | FileAttribute.OFFLINE | FileAttribute.NOT_CONTENT_INDEXED
)  # fmt: skip
_KNOWN_ATTRIBUTES: Final = 0x00007FB7 | FileAttribute.INTEGRITY_STREAM | FileAttribute.NO_SCRUB_DATA
_KNOWN_ACCESS: Final = 0xF31F01FF
_OVERWRITES: Final = (CreateAction.OVERWRITTEN, CreateAction.SUPERSEDED)
_SHARE_MASK: Final = ShareAccess.READ | ShareAccess.WRITE | ShareAccess.DELETE
# What cannot be asked for through a share that is read-only.
_CHANGING_ACCESS: Final = (
    Access.WRITE_DATA | Access.APPEND_DATA | Access.WRITE_EA | Access.WRITE_ATTRIBUTES | Access.DELETE
    | Access.DELETE_CHILD | Access.WRITE_DAC | Access.WRITE_OWNER
)  # fmt: skip


async def create(call: Call, request: CreateRequest) -> Reply:
    """[MS-SMB2] 3.3.5.9"""
    server, tree = call.server, call.tree_connect
    text = create_name(call.message, request)
    if tree.share.links is not None:
        text = local_name(tree.share.links, text, call.flags)
    limit = server.settings.limits.create_contexts
    contexts = parse_contexts(create_contexts(call.message, request, limit=limit))
    drop_unless_agreed(call, contexts)
    take_query(tree, contexts)
    if tree.volume is not None:
        found = find_existing(call, request, contexts, text)
        if found is not None:
            call.chain.file_id = (found.joined.persistent_id, found.joined.volatile_id)
            return respond(found.joined, found.opened, found.contexts, found.oplock_level)
    server.check_room_for_open(call.session)
    check_request(request)
    if tree.volume is None:
        return await create_pipe(call, tree, text)
    with creating(call, contexts):
        if contexts.timewarp or (TOKEN_MARK in text and tree.share.snapshots is not None and names_snapshot(text)):
            return await _create_as_of(call, tree, request, contexts, text)
        try:
            return await _create_file(call, tree, request, contexts, name_of_create(contexts, text))
        except StoppedOnLink as stop:
            link = stop.path
        return await answer_link(call, tree, link)


async def _create_as_of(call: Call, tree: TreeConnect, request: CreateRequest, contexts: Contexts, text: str) -> Reply:
    """The same in a share as it was.  [MS-SMB2] 3.3.5.9.4"""
    text, time_ns = split_token(text)
    name = name_of_create(contexts, text)
    was = await enter_snapshot(call, tree, contexts.timewarp, time_ns)
    reply: Reply | None = None
    try:
        try:
            reply = await _create_file(call, was, request, ask_nothing_lasting(request, contexts), name)
            return reply
        except StoppedOnLink as stop:
            link = stop.path
        return await answer_link(call, was, link)
    finally:
        if reply is None:
            was.close()


async def _create_file(
    call: Call, tree: TreeConnect, request: CreateRequest, contexts: Contexts, name: FileName
) -> Reply:
    """The steps of a new open."""
    server = call.server
    plan = make_plan(tree, request, name, contexts)
    if contexts.eas:
        check_new_eas(tree, contexts.eas)
    asked = asked_lease(call, request, contexts)
    if asked is not None:
        check_lease_key(call, asked, plan)
    if contexts.app_instance_id is not None:
        await displace(call, contexts, plan.path)
    opened = await _open(call, tree, request, plan, asked)
    joined = join(server, tree, request, opened)
    joined.posix = plan.posix
    if opened.action != CreateAction.OPENED:
        await _begin_anew(call, joined, opened, plan, asked, contexts)
    if asked is not None or request.requested_oplock_level not in (OplockLevel.NONE, OplockLevel.LEASE):
        if await attend_cached(server, joined):
            opened.stat = joined.node.stat()
        grant(call, joined, opened, request.requested_oplock_level, asked)
    if joined.caching:
        joined.early_breaks = []
        call.chain.afterwards.append(joined.is_announced)
    if opened.action != CreateAction.OPENED:
        _report(joined, opened)  # now that it is known through which lease
    if contexts.durable or contexts.durable_v2 is not None:
        await promise(call, contexts, joined, opened.action)
    call.chain.hand_on(joined, opened.stat if opened.action == CreateAction.OPENED else None)
    return respond(joined, opened, contexts)


async def _begin_anew(
    call: Call, joined: FileOpen, opened: Opened, plan: Plan, asked: AskedLease | None, contexts: Contexts
) -> None:
    """What is new, or begins anew, gets what the request says."""
    if opened.action == CreateAction.CREATED:
        _note_created(joined, opened)
    if opened.action in _OVERWRITES:
        await _overwrite(call, joined, opened, plan, asked)
    if contexts.eas:
        await set_new_eas(call, joined, contexts.eas)
    joined.note_written()


def check_request(request: CreateRequest) -> None:
    """What [MS-SMB2] 3.3.5.9 and [MS-FSA] 2.1.5.1 refuse by the look of the request."""
    if request.impersonation_level > ImpersonationLevel.DELEGATE:
        raise StatusError(Status.BAD_IMPERSONATION_LEVEL)
    options = request.create_options
    if options & ANY_REFUSED_OPTION:
        option = next(option for option in REFUSED_OPTIONS if options & option)
        raise StatusError(REFUSED_OPTIONS[option], f"create option 0x{option:x}")
    bad = (
        request.create_disposition > CreateDisposition.OVERWRITE_IF
        or request.share_access & ~_SHARE_MASK
        or options & 0xFF000000
        or request.file_attributes & ~_KNOWN_ATTRIBUTES
        or (options & CreateOption.DIRECTORY_FILE and options & CreateOption.NON_DIRECTORY_FILE)
    )
    if bad:
        raise StatusError(Status.INVALID_PARAMETER)
    if options & CreateOption.DIRECTORY_FILE and request.create_disposition in _OVERWRITING:
        raise StatusError(Status.INVALID_PARAMETER, "a directory cannot be overwritten")
    access = request.desired_access
    if not access or access & ~_KNOWN_ACCESS:
        raise StatusError(Status.ACCESS_DENIED, f"desired access 0x{access:x}")


def make_plan(tree: TreeConnect, request: CreateRequest, name: FileName, contexts: Contexts) -> Plan:
    """What the platform steps need to know, with the generic rights spelled out and the share's masks applied."""
    if name.data:
        check_stream_name(tree, request, name)
    access = map_generic(request.desired_access)
    descriptors = tree.descriptors
    if access & Access.ACCESS_SYSTEM_SECURITY and not (descriptors and descriptors.token.holds(Privilege.SECURITY)):
        raise StatusError(Status.PRIVILEGE_NOT_HELD)
    options = request.create_options
    for option, right in CREATE_RIGHTS:
        if options & option and not access & (right | Access.MAXIMUM_ALLOWED):
            raise StatusError(Status.INVALID_PARAMETER, "delete on close without the right to delete")
    disposition = request.create_disposition
    if tree.live is None:
        _check_writable(tree, access, disposition)
    else:
        _check_only_looks(request)
    directory = name.directory or options & CreateOption.DIRECTORY_FILE != 0
    posix = contexts.posix_mode is not None
    opens_links = options & CreateOption.OPEN_REPARSE_POINT != 0
    makes = disposition in CREATING
    return Plan(
        path=name.path,
        access=access,
        disposition=disposition,
        must_be_directory=directory,
        must_be_file=name.data or options & CreateOption.NON_DIRECTORY_FILE != 0,
        delete_on_close=options & CreateOption.DELETE_ON_CLOSE != 0,
        follow=not (opens_links or posix),
        attributes=request.file_attributes & _SETTABLE,
        mode=new_mode(contexts, tree.share.settings, directory=directory) if makes else 0,
        writable=tree.writable or tree.live is not None,
        frozen=tree.live is not None,
        spellings=tree.share.spellings,
        allocation_size=contexts.allocation_size,
        descriptors=descriptors,
        given=contexts.security if descriptors is not None else None,
        backup=options & CreateOption.OPEN_FOR_BACKUP_INTENT != 0,
        wants_maximal=contexts.maximal_access,
        stream=name.stream,
        posix=posix,
        stops_at_link=posix and not opens_links,
        compression=compression_power(tree) if options & CreateOption.NO_COMPRESSION else None,
    )


def _check_writable(tree: TreeConnect, access: int, disposition: int) -> None:
    """A read-only share refuses before the file system is asked.  What must exist may still be missing."""
    if tree.writable:
        return
    if access & _CHANGING_ACCESS or disposition in _OVERWRITING or disposition == CreateDisposition.CREATE:
        raise StatusError(Status.ACCESS_DENIED, f"share {tree.share.name} is read-only here")


def _check_only_looks(request: CreateRequest) -> None:
    """In a snapshot nothing is made or overwritten; who opens what is there gets all rights, for what they are worth.

    Seen from Windows by smbtorture, smb2.twrp.write.
    """
    disposition = request.create_disposition
    changes = disposition in _OVERWRITING or disposition == CreateDisposition.CREATE
    if changes or request.create_options & CreateOption.DELETE_ON_CLOSE:
        raise StatusError(Status.MEDIA_WRITE_PROTECTED, "a snapshot")


async def _open(call: Call, tree: TreeConnect, request: CreateRequest, plan: Plan, asked: AskedLease | None) -> Opened:
    """Open or make the node, once nothing stands against it any more.  Nothing is held while it waits for that."""
    made = False
    while True:
        opened = await _open_once(call, tree, plan)
        tree.set_apart(opened.stat)
        blocker: Blocker | None = None
        refusal: StatusError | None = None
        try:
            call.check_tree(tree)
            blocker = admit(call, request, plan, opened, asked)
        except StatusError as error:
            refusal = error
        if refusal is not None:
            await give_back(call, opened)
            if await delete_doomed(call.server):
                continue
            raise refusal
        if made:
            opened.action = CreateAction.CREATED
        if blocker is None and not call.server.doomed:
            return opened
        opened.node.close()
        if opened.action == CreateAction.CREATED:  # and somebody else was quicker to open it
            made = True
            plan = replace(plan, disposition=CreateDisposition.OPEN)
        await delete_doomed(call.server)  # a disconnected open made way, and its file may go with it
        if blocker is not None:
            await outlast(call.server, blocker)
        call.check_tree(tree)
        call.server.check_room_for_open(call.session)


async def _open_once(call: Call, tree: TreeConnect, plan: Plan) -> Opened:
    volume = tree.volume
    assert volume is not None
    try:
        if plan.stream:
            return await open_file_and_stream(call, volume, plan)
        return await blocking(open_node, volume, plan)
    except PermissionError as error:
        refusal = error
    await _explain_refusal(tree, plan)
    raise refusal


def admit(call: Call, request: CreateRequest, plan: Plan, opened: Opened, asked: AskedLease | None) -> Blocker | None:
    """Whether one more open of the file is all right.  Returns the break that must be over first, if there is one.

    The handles of others are broken if share modes are against it, because a CLOSE may be all that is missing; then
    come share modes, then what others have to write back.  [MS-FSA] 2.1.5.1.2
    """
    server = call.server
    lease = find_lease(call, asked) if asked is not None else None
    known = find_stream_of(server, opened) if opened.stream else server.files.find(opened.stat.key)
    if lease is not None and lease.shared is not known:
        raise StatusError(Status.INVALID_PARAMETER, f"the lease key of {lease.path}")
    if opened.stream:
        check_written(call.tree_connect, plan.disposition, opened.stream, opened.stat.size)
    if known is not None:
        access = opened.granted_access
        sharing_access = access if opened.action == CreateAction.OPENED else access | Access.WRITE_DATA
        server.durable.check_available(known, access)
        try:
            known.check_sharing(sharing_access, request.share_access)
        except StatusError as error:
            closable = error.status == Status.SHARING_VIOLATION
            blocker = break_caches(server, known, NEED_CLOSED, lease) if closable else None
            if blocker is None:  # what was disconnected may have made way
                known.check_sharing(sharing_access, request.share_access)
            else:
                return blocker
        contention = _contention(opened)
        blocker = clear_streams(server, known, opened) if known.streams else None
        if blocker is None and contention is not None:
            blocker = break_caches(server, known, contention, lease)
        if blocker is not None:
            return blocker
    _check_delete_on_close(plan, opened)
    return None


def _contention(opened: Opened) -> Contention | None:
    """What the open means for who caches the file."""
    if opened.action in _OVERWRITES:
        return CHANGE
    if is_stat_open(opened.granted_access):
        return None
    return READ_SECURITY if is_stat_open(opened.granted_access & ~Access.READ_CONTROL) else OPEN


def join(server: Server, tree: TreeConnect, request: CreateRequest, opened: Opened) -> FileOpen:
    """Let the open take part in sharing."""
    persistent_id, volatile_id = server.new_file_id()
    joined = FileOpen(
        tree,
        persistent_id,
        volatile_id,
        granted_access=opened.granted_access,
        share_access=request.share_access,
        create_options=request.create_options,
        node=opened.node,
        path=opened.path,
        base=opened.base,
        stream=opened.stream,
    )
    joined.shared = server.files.join(opened.stat.key, joined)
    joined.created = opened.action == CreateAction.CREATED
    joined.governed = opened.governed
    server.add_open(joined)
    return joined


def _check_delete_on_close(plan: Plan, opened: Opened) -> None:
    """[MS-FSA] 2.1.5.1.2: a read-only file cannot be promised to go."""
    if not plan.delete_on_close:
        return
    attributes = file_attributes(opened.stat, opened.path)
    if opened.action != CreateAction.CREATED and attributes & FileAttribute.READONLY and not plan.posix:
        raise StatusError(Status.CANNOT_DELETE)
    if not opened.path and not opened.stream:
        raise StatusError(Status.ACCESS_DENIED, "the root of a share cannot be deleted")


async def _overwrite(call: Call, joined: FileOpen, opened: Opened, plan: Plan, asked: AskedLease | None) -> None:
    """[MS-FSA] 2.1.5.1.2.1"""
    server = call.server
    joined.pins += 1
    doom_streams(joined.shared)
    failure: OSError | None = None
    try:
        try:
            await blocking(_cut, joined, opened, plan)
        except OSError as error:
            failure = error
        if failure is not None:
            await close_untold(server, joined)
            raise failure
    finally:
        server.unpin(joined)
        if joined.shared.oplocks:
            break_caches(server, joined.shared, CHANGE, find_lease(call, asked))
    if joined.closed:
        raise StatusError(Status.FILE_CLOSED)


def _cut(joined: FileOpen, opened: Opened, plan: Plan, *, wait: bool = False) -> None:
    """Cut the file, give it the attributes of a new one, and take its streams away.  Of a stream, only cut it."""
    file, volume = joined.file, joined.tree.volume
    file.resize(0, wait=wait)
    if not joined.stream:
        if volume is not None and volume.features.stores_marks:
            file.set_marks(plan.attributes | FileAttribute.ARCHIVE, None, wait=wait)
        streams = streams_of(joined.tree)
        if streams is not None:
            remove_streams(streams, joined, wait=wait)
    if plan.allocation_size:
        file.allocate(plan.allocation_size, wait=wait)
    opened.stat = file.stat()


def _note_created(joined: FileOpen, opened: Opened) -> None:
    """What the platform will tell of it was the server's doing."""
    action = NotifyAction.ADDED if not opened.stream or opened.made_file else NotifyAction.MODIFIED
    joined.tree.share.changes.note(action, joined.path, name_of(directory=joined.is_directory), joined)


def _report(joined: FileOpen, opened: Opened) -> None:
    """Tell who listens of a new file or stream, or of one that begins anew."""
    if opened.action in _OVERWRITES:
        joined.report_modified(CompletionFilter.ATTRIBUTES | CompletionFilter.SIZE | CompletionFilter.LAST_WRITE)
        return
    changes = joined.tree.share.changes
    if changes and (opened.made_file or not opened.stream):
        changes.report(NotifyAction.ADDED, joined.path, name_of(directory=joined.is_directory), joined)
    if opened.stream:
        joined.report_stream(NotifyAction.ADDED_STREAM, CompletionFilter.STREAM_NAME)


def respond(joined: FileOpen, opened: Opened, contexts: Contexts, oplock_level: int | None = None) -> Reply:
    """[MS-SMB2] 2.2.14"""
    stat = joined.tree.share.change_times.seen(opened.stat)
    directory = stat.kind == Kind.DIRECTORY
    answered = contexts.any_answer or joined.lease is not None
    body = pack_create_response(
        joined.oplock_level if oplock_level is None else oplock_level,
        opened.action,
        filetime_from_ns(stat.birth_ns),
        filetime_from_ns(stat.access_ns),
        filetime_from_ns(stat.write_ns),
        filetime_from_ns(stat.change_ns),
        0 if directory else stat.allocated,
        0 if directory else stat.size,
        file_attributes(stat, opened.path),
        joined.persistent_id,
        joined.volatile_id,
        response_contexts(joined, opened, contexts) if answered else (),
    )
    return Reply(body)


async def _explain_refusal(tree: TreeConnect, plan: Plan) -> None:
    """Say in the log who met whose permissions, which no error code tells."""
    volume = tree.volume
    assert volume is not None
    account = tree.account
    try:
        stat = await blocking(volume.stat, plan.path)
        met = f"mode {stat.mode:04o} of owner {stat.uid}, group {stat.gid}"
    except OSError as error:
        met = f"the directories above it ({error.strerror})"
    log.warning(
        "%s, acting as %s (uid %d, gid %d), may not open %r on share %s for access 0x%x: %s",
        tree.session.user_name, account.name, account.uid, account.gid, plan.path, tree.share.name, plan.access, met,
    )  # fmt: skip
