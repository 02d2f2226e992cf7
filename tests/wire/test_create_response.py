"""smbport.wire.create_response: says the same as the record that reads it."""

from dataclasses import astuple

import pytest

from smbport.wire.constants import ContextTag, CreateAction, OplockLevel
from smbport.wire.create import CreateResponse, create_contexts
from smbport.wire.create_response import pack_create_response
from smbport.wire.header import HEADER_SIZE

FIELDS = {
    "oplock_level": OplockLevel.LEASE,
    "create_action": CreateAction.OVERWRITTEN,
    "creation_time": (1 << 64) - 1,
    "last_access_time": 0x01DD7AE2C8324BB1,
    "last_write_time": 0x01DD7AE2C8324BB2,
    "change_time": 0x01DD7AE2C8324BB3,
    "allocation_size": 1 << 40,
    "end_of_file": (1 << 40) - 1,
    "file_attributes": 0xFFFFFFFF,
    "file_id_persistent": 0x0102030405060708,
    "file_id_volatile": 0x1112131415161718,
}


def test_without_contexts():
    body = pack_create_response(*FIELDS.values(), [])
    assert body == CreateResponse(**FIELDS).pack()


@pytest.mark.parametrize("length", [0, 1, 8, 32])
def test_with_contexts(length):
    contexts = [(ContextTag.MAXIMAL_ACCESS, bytes(8)), (ContextTag.ON_DISK_ID, bytes(range(length)))]
    message = bytes(HEADER_SIZE) + pack_create_response(*FIELDS.values(), contexts)
    response = CreateResponse.unpack_from(message, HEADER_SIZE)
    assert create_contexts(message, response, limit=2) == contexts
    assert astuple(response)[:-2] == astuple(CreateResponse(**FIELDS))[:-2]


def test_response_of_samba(captured):
    message = captured("create_response_samba")
    response = CreateResponse.unpack_from(message, HEADER_SIZE)
    contexts = create_contexts(message, response, limit=8)
    level, _, *fields = astuple(response)[:-2]
    assert pack_create_response(level, *fields, contexts) == message[HEADER_SIZE:]
