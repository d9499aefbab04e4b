"""How an event is stored: a codec array [name, id, ts in ms, user, v, data], in which data is a codec blob of its own.

So a router reads the head of an event without decoding a payload that no condition asks about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from durableq.model.event.fact import Event, trusted_event
from durableq.words.codec import decode, encode
from durableq.words.errors import CodecError, EventError
from durableq.words.shown import shown
from durableq.words.typed import dump_data

_SCOPE = ("name", "data", "id", "ts", "user", "v")
_OPTIONAL_TEXT = (str, type(None))


class EventHead(NamedTuple):
    """A stored event whose data is not decoded yet. Fields as in `Event`."""

    name: str
    id: str | None
    ts_ms: int | None
    user: dict[str, Any] | None
    v: str | None
    data_blob: bytes

    def event(self, entry_id: str = "") -> Event[dict[str, Any]]:
        """The whole event. `entry_id` is where it stands in the stream; its time is the event's, if that has none."""
        data = decode(self.data_blob)
        if type(data) is not dict:
            raise CodecError(f"stored event {shown(self.name)} is damaged: its data is a {type(data).__name__}")
        return trusted_event(self.name, data, self.id, _time_ms(self, entry_id), self.user, self.v)

    def scope(self, entry_id: str = "") -> EventScope:
        """The event as expressions see it. `entry_id` as for `event`."""
        return EventScope(self, entry_id)


class EventScope(Mapping[str, Any]):
    """A stored event as expressions see it: name, data, id, ts, user, v. Decodes the data when first asked for it."""

    __slots__ = ("_blob", "_fields")

    def __init__(self, head: EventHead, entry_id: str = "") -> None:
        self._blob = head.data_blob
        self._fields: dict[str, Any] = {
            "name": head.name,
            "id": head.id,
            "ts": _time_ms(head, entry_id),
            "user": head.user,
            "v": head.v,
        }

    def __getitem__(self, key: str) -> Any:
        fields = self._fields
        if key == "data" and key not in fields:
            fields["data"] = decode(self._blob)
        return fields[key]

    def __contains__(self, key: object) -> bool:
        return key in _SCOPE

    def __iter__(self) -> Iterator[str]:
        return iter(_SCOPE)

    def __len__(self) -> int:
        return len(_SCOPE)


def encode_event(event: Event[Any]) -> bytes:
    """The event as it is stored. Raises EventError when something in its data or user cannot be stored."""
    try:
        data = dump_data(event.data)
        if type(data) is not dict:
            raise EventError(f"event {shown(event.name)}: data must become a map, not a {type(data).__name__}")
        blob = encode(data, what="data")
        return encode([event.name, event.id, event.ts, event.user, event.v, blob], what="event")
    except CodecError as error:
        raise EventError(f"event {shown(event.name)}: {error}".replace("event[3]", "user", 1)) from None


def decode_event(blob: bytes, entry_id: str = "") -> Event[dict[str, Any]]:
    """The event in these bytes. Raises CodecError when they are damaged. `entry_id` as for `EventHead.event`."""
    return read_head(blob).event(entry_id)


def read_head(blob: bytes) -> EventHead:
    """The event in these bytes with its data left undecoded. Raises CodecError when they are damaged."""
    fields = decode(blob)
    if type(fields) is list and len(fields) == 6:
        name, id, ts_ms, user, v, data_blob = fields
        if (
            type(name) is str
            and isinstance(id, _OPTIONAL_TEXT)
            and (ts_ms is None or type(ts_ms) is int)
            and (user is None or type(user) is dict)
            and isinstance(v, _OPTIONAL_TEXT)
            and type(data_blob) is bytes
        ):
            return EventHead(name, id, ts_ms, user, v, data_blob)
    raise CodecError(f"stored event is damaged: {shown(fields)}")


def _time_ms(head: EventHead, entry_id: str) -> int | None:
    if head.ts_ms is None and entry_id:
        return int(entry_id.partition("-")[0])
    return head.ts_ms
