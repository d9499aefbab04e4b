"""What only a sender must keep. Events that durableq itself emits, and those from storage, do not pass here."""

from __future__ import annotations

from typing import Any

from durableq.model.event.fact import Event, T, trusted_event
from durableq.model.event.rules import RESERVED_PREFIXES
from durableq.model.event.wire import encode_event
from durableq.model.limits import Limits
from durableq.words.clock import Clock
from durableq.words.errors import EventError
from durableq.words.ids import new_ulid
from durableq.words.shown import shown


def check_sendable(event: object) -> None:
    """Raise EventError unless this is an event, under a name that users may send."""
    if not isinstance(event, Event):
        raise EventError(f"send takes an Event or a list of them, not {type(event).__name__}: {shown(event)}")
    if event.name.startswith(RESERVED_PREFIXES):
        raise EventError(
            f"event name {shown(event.name)} is reserved: names under durableq/ and inngest/ are the system's own"
        )


def encode_sendable(event: Event[Any], limits: Limits) -> bytes:
    """The event as it is stored, if it may be sent.

    Raises:
        EventError: Its name is reserved, or something in its data cannot be stored.
        LimitExceeded: It is larger than `limits.event_bytes`.
    """
    check_sendable(event)
    blob = encode_event(event)
    if len(blob) > limits.event_bytes:
        limits.check_bytes("event_bytes", f"event {shown(event.name)}", len(blob))
    return blob


def with_id(event: Event[T], clock: Clock) -> Event[T]:
    """The event, with a ULID for its id if it has none."""
    if event.id is not None:
        return event
    return trusted_event(event.name, event.data, new_ulid(clock.wall_ms()), event.ts, event.user, event.v)
