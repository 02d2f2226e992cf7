"""CREATE on IPC$.  [MS-SMB2] 3.3.5.9"""

from smbport.commands.account_names import ACCOUNT_PIPES, find_names
from smbport.commands.call import Call, Reply
from smbport.pipes.pipe import open_pipe
from smbport.pipes.server_info import ServerInfo, describe_server
from smbport.security.names import Names
from smbport.state.open import PipeOpen
from smbport.state.server import Server
from smbport.state.tree import TreeConnect
from smbport.wire.constants import Access, CreateAction, FileAttribute
from smbport.wire.create import CreateResponse
from smbport.wire.status import Status, StatusError

__all__ = ["create_pipe"]


async def create_pipe(call: Call, tree: TreeConnect, text: str) -> Reply:
    """Pipes come from a fixed table, never from the file system.  [MS-SMB2] 3.3.5.9"""
    pipes = sum(isinstance(opened, PipeOpen) for opened in call.session.opens.values())
    if pipes >= call.server.settings.limits.pipes_per_session:
        raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many pipes")
    names: Names | None = None  # read before the pipe is used, because an answer there cannot wait
    pipe = open_pipe(text, lambda: _describe(call.server, tree, names))
    if pipe is None:
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND)
    if pipe.name in ACCOUNT_PIPES:
        names = await find_names(call.server, call.session)
        call.check_tree(tree)
    persistent_id, volatile_id = call.server.new_file_id()
    access = Access.FILE_GENERIC_READ | Access.FILE_GENERIC_WRITE
    joined = PipeOpen(tree, persistent_id, volatile_id, access, text, pipe)
    call.server.add_open(joined)
    call.chain.file_id = (persistent_id, volatile_id)
    return Reply(
        CreateResponse(
            oplock_level=0, flags=0, create_action=CreateAction.OPENED, creation_time=0, last_access_time=0,
            last_write_time=0, change_time=0, allocation_size=4096, end_of_file=0,
            file_attributes=FileAttribute.NORMAL, file_id_persistent=persistent_id, file_id_volatile=volatile_id,
            create_contexts_offset=0, create_contexts_length=0,
        )
    )  # fmt: skip


def _describe(server: Server, tree: TreeConnect, names: Names | None) -> ServerInfo:
    """What browsing shows: every share that is not hidden; an anonymous user sees no share of ours."""
    user = tree.session.user
    known = user is not None and user.kind != "anonymous"
    shares = [share.settings for share in server.shares.values()] if known else []
    return describe_server(
        server.settings, shares, user=tree.session.user_name, restricted=tree.session.is_guest_or_anonymous,
        names=names, now_ns=server.runtime.now_ns(), start_ns=server.start_ns,
    )  # fmt: skip
