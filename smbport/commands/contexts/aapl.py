"""The create context AAPL: what clients of Apple get in shares that are for them.  See wire/aapl.py."""

from typing import Final

from smbport.commands.contexts.request import Contexts
from smbport.commands.macos import offers_modes
from smbport.state.tree import TreeConnect
from smbport.wire.aapl import (
    AaplCapability,
    AaplQuery,
    ServerQuery,
    VolumeCapability,
    pack_server_answer,
    parse_server_query,
)

__all__ = ["answer_query", "take_query"]

MODEL: Final = "RackMac"  # by which the Finder chooses an icon


def take_query(tree: TreeConnect, contexts: Contexts) -> None:
    """Read the query if this share answers any, else forget it.  Raises BadStructure."""
    if contexts.aapl is not None and tree.share.settings.macos and tree.volume is not None:
        contexts.query = parse_server_query(contexts.aapl)


def answer_query(tree: TreeConnect, query: ServerQuery) -> bytes:
    """The answer; what it offers holds from now on for the session, whichever of its connections is used."""
    settings, session = tree.share.settings, tree.session
    assert tree.volume is not None
    if query.wanted & AaplQuery.SERVER_CAPABILITIES:
        session.aapl = AaplCapability.UNIX_BASED | AaplCapability.COPY_FILE
        session.aapl |= query.capabilities & AaplCapability.READ_DIR_ATTRIBUTES
        if offers_modes(tree):
            session.aapl |= AaplCapability.NFS_ACE
    volume = 0
    if settings.case_sensitive and tree.volume.features.case_sensitive:
        volume |= VolumeCapability.CASE_SENSITIVE
    if settings.time_machine:
        volume |= VolumeCapability.FULL_SYNC
    return pack_server_answer(query.wanted, session.aapl, volume, MODEL)
