"""FSCTL → handler.  What those on an open need of it is in rights.FSCTLS; a test compares the two."""

from typing import Final

from smbport.commands.fsctl.answer import Fsctl
from smbport.commands.fsctl.connection import query_network_interface_info, validate_negotiate_info
from smbport.commands.fsctl.copy_chunk import copy_chunk, request_resume_key
from smbport.commands.fsctl.dfs import get_referrals
from smbport.commands.fsctl.duplicate_extents import duplicate_extents
from smbport.commands.fsctl.object_id import get_object_id
from smbport.commands.fsctl.offload import offload_read, offload_write
from smbport.commands.fsctl.pipes import pipe_peek, pipe_transceive, pipe_wait
from smbport.commands.fsctl.reparse import delete_reparse_point, get_reparse_point, set_reparse_point
from smbport.commands.fsctl.resiliency import request_resiliency
from smbport.commands.fsctl.snapshots import enumerate_snapshots
from smbport.commands.fsctl.sparse import (
    file_level_trim,
    query_allocated_ranges,
    query_file_regions,
    set_sparse,
    set_zero_data,
)
from smbport.commands.fsctl.storage import (
    get_compression,
    get_integrity_information,
    set_compression,
    set_integrity_information,
)
from smbport.wire.constants import FsControl

__all__ = ["ON_FILE", "ON_PIPE", "WITHOUT_OPEN"]

# Asked with a FileId of all ones.
WITHOUT_OPEN: Final[dict[int, Fsctl]] = {
    FsControl.DFS_GET_REFERRALS: get_referrals,
    FsControl.DFS_GET_REFERRALS_EX: get_referrals,
    FsControl.PIPE_WAIT: pipe_wait,
    FsControl.QUERY_NETWORK_INTERFACE_INFO: query_network_interface_info,
    FsControl.VALIDATE_NEGOTIATE_INFO: validate_negotiate_info,
}

ON_PIPE: Final[dict[int, Fsctl]] = {
    FsControl.PIPE_PEEK: pipe_peek,
    FsControl.PIPE_TRANSCEIVE: pipe_transceive,
}

# Files and directories.  LMR_SET_LINK_TRACKING_INFORMATION is missing on purpose: nothing here follows files that
# move to another machine.
ON_FILE: Final[dict[int, Fsctl]] = {
    FsControl.CREATE_OR_GET_OBJECT_ID: get_object_id,
    FsControl.DELETE_REPARSE_POINT: delete_reparse_point,
    FsControl.DUPLICATE_EXTENTS_TO_FILE: duplicate_extents,
    FsControl.DUPLICATE_EXTENTS_TO_FILE_EX: duplicate_extents,
    FsControl.FILE_LEVEL_TRIM: file_level_trim,
    FsControl.GET_COMPRESSION: get_compression,
    FsControl.GET_INTEGRITY_INFORMATION: get_integrity_information,
    FsControl.GET_OBJECT_ID: get_object_id,
    FsControl.GET_REPARSE_POINT: get_reparse_point,
    FsControl.LMR_REQUEST_RESILIENCY: request_resiliency,
    FsControl.OFFLOAD_READ: offload_read,
    FsControl.OFFLOAD_WRITE: offload_write,
    FsControl.QUERY_ALLOCATED_RANGES: query_allocated_ranges,
    FsControl.QUERY_FILE_REGIONS: query_file_regions,
    FsControl.SET_COMPRESSION: set_compression,
    FsControl.SET_INTEGRITY_INFORMATION: set_integrity_information,
    FsControl.SET_REPARSE_POINT: set_reparse_point,
    FsControl.SET_SPARSE: set_sparse,
    FsControl.SET_ZERO_DATA: set_zero_data,
    FsControl.SRV_COPYCHUNK: copy_chunk,
    FsControl.SRV_COPYCHUNK_WRITE: copy_chunk,
    FsControl.SRV_ENUMERATE_SNAPSHOTS: enumerate_snapshots,
    FsControl.SRV_REQUEST_RESUME_KEY: request_resume_key,
}
