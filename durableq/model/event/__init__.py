"""Events: named, immutable facts. The rules of their fields, what only a sender must keep, and how they travel."""

from durableq.model.event.batch import Given, decode_given, each_given, first_given, first_size, is_batch
from durableq.model.event.fact import Event, trusted_event
from durableq.model.event.rules import ID_MAX, NAME_MAX, RESERVED_PREFIXES
from durableq.model.event.sending import check_sendable, encode_sendable, with_id
from durableq.model.event.wire import EventHead, EventScope, decode_event, encode_event, read_head

__all__ = [
    "ID_MAX",
    "NAME_MAX",
    "RESERVED_PREFIXES",
    "Event",
    "EventHead",
    "EventScope",
    "Given",
    "check_sendable",
    "decode_event",
    "decode_given",
    "each_given",
    "encode_event",
    "encode_sendable",
    "first_given",
    "first_size",
    "is_batch",
    "read_head",
    "trusted_event",
    "with_id",
]
