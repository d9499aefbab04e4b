"""What a rerun is given: what its source was, or the same event with other data; and how a step is named to go on from."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, NamedTuple

from durableq.model.event.batch import first_given, is_batch
from durableq.model.event.fact import trusted_event
from durableq.model.event.rules import checked_data
from durableq.model.event.wire import EventHead, EventScope, encode_event, read_head
from durableq.model.limits import Limits
from durableq.words.codec import encode
from durableq.words.errors import EventError
from durableq.words.ids import step_key

OCCURRENCES_LOOKED_AT: Final = 100
"""Of a step id, beyond as many as are recorded: some of a loop may have been asked for and not recorded."""


class Kept(Enum):
    """Stands for the data that the source had."""

    KEPT = "the source's"


KEPT: Final = Kept.KEPT


class Input(NamedTuple):
    """What a rerun is given, b"" for exactly what its source was; the (first) event as expressions see it; and its name."""

    blob: bytes
    scope: EventScope
    name: str


def input_again(source: str, blob: bytes, created_at_ms: int, data: Any, limits: Limits) -> Input:
    """What the rerun of this run is given. `data` KEPT: what the source was.

    An event that told no time happened when it was accepted, and did not happen anew: the rerun's has that time.

    Raises:
        EventError: `data` cannot be an event's, or the source was started by a batch.
        LimitExceeded: The event would be larger than `limits.event_bytes`.
        CodecError: What the source was given is damaged.
    """
    if is_batch(blob):
        if data is not KEPT:
            raise EventError(f"rerun of {source}: it was given a batch of events, whose data cannot be replaced")
        first = first_given(blob, created_at_ms)
        return Input(b"", first.scope(), first.head().name)
    head = read_head(blob)
    again = head._replace(ts_ms=created_at_ms) if head.ts_ms is None else head
    if data is not KEPT:
        blob = _edited(source, again, data, limits)
        again = read_head(blob)
    elif again is head:
        blob = b""
    else:
        blob = encode(list(again), what="event")
    return Input(blob, again.scope(), again.name)


def _edited(source: str, head: EventHead, data: Any, limits: Limits) -> bytes:
    where = f"rerun of {source}"
    try:
        blob = encode_event(trusted_event(head.name, checked_data(data), head.id, head.ts_ms, head.user, head.v))
    except EventError as error:
        raise EventError(f"{where}: {error}") from None
    limits.check_bytes("event_bytes", f"{where}: its event", len(blob))
    return blob


def keys_of(named: str) -> list[str]:
    """The keys that a step may have which somebody names so, likeliest first: its id, or for a later time `id:2`, `id:3` …"""
    keys = [step_key(named, 0)]
    step_id, _, time = named.rpartition(":")
    if step_id and time.isdecimal() and time.isascii() and 2 <= int(time) < 1 << 62:
        keys.append(step_key(step_id, int(time) - 1))
    return keys


def occurrences(steps: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Of (key, step id) pairs, per key which time the run used the id: 1 as a rule, 2 and more in loops."""
    keys_of_id: dict[str, set[str]] = {}
    for key, step_id in steps:
        keys_of_id.setdefault(step_id, set()).add(key)
    found = {}
    for step_id, keys in keys_of_id.items():
        for used in range(2 * len(keys) + OCCURRENCES_LOOKED_AT):
            if not keys:
                break
            key = step_key(step_id, used)
            if key in keys:
                keys.remove(key)
                found[key] = used + 1
    return found


def step_named(step_id: str, occurrence: int) -> str:
    """How screens name a step, and how people do to go on from it."""
    return step_id if occurrence == 1 else f"{step_id}:{occurrence}"
