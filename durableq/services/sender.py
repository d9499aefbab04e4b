"""Sends events: checks, encodes, and tells apart what was stored, what was not, and what may have been.

An event that its user gave an id is deduplicated for 24 h per (name, id). One whose id is minted here is remembered for
2 minutes, which is what makes a re-send after a broken connection, or of what SendError lists, start nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from durableq.model.event import Event, check_sendable, encode_sendable, with_id
from durableq.model.limits import Limits
from durableq.store.calls import BATCH
from durableq.store.events import Events, NewEvent
from durableq.store.failures import Unavailable
from durableq.words.clock import Clock
from durableq.words.errors import DurableqError, EventError, SendError
from durableq.words.ids import event_key

GIVEN_ID_MS: Final = 86_400_000
MINTED_ID_MS: Final = 120_000
BATCH_BYTES: Final = 1_000_000
PATIENCE_S: Final = 1.8
BYTES_PER_S: Final = 5_000_000


class Prepared:
    """Events that may be sent: checked, with ids, encoded."""

    __slots__ = ("events", "writes")

    def __init__(self, events: Any, limits: Limits, clock: Clock) -> None:
        given = [events] if isinstance(events, Event) else _listed(events)
        limits.check_send(len(given))
        self.events: list[Event[Any]] = []
        self.writes: list[NewEvent] = []
        for event in given:
            check_sendable(event)
            known = event.id is not None
            sent = event if known else with_id(event, clock)
            self.events.append(sent)
            key = event_key(sent.name, sent.id or "")
            self.writes.append(NewEvent(key, GIVEN_ID_MS if known else MINTED_ID_MS, encode_sendable(sent, limits)))

    def chunks(self) -> list[slice]:
        """At most 100 events and about 1 MB each."""
        found: list[slice] = []
        start, size = 0, 0
        for index, write in enumerate(self.writes):
            if index > start and (index - start == BATCH or size + len(write.blob) > BATCH_BYTES):
                found.append(slice(start, index))
                start, size = index, 0
            size += len(write.blob)
        if start < len(self.writes):
            found.append(slice(start, len(self.writes)))
        return found


def _listed(events: object) -> list[Any]:
    if isinstance(events, (str, bytes, dict)) or not isinstance(events, Sequence):
        raise EventError(f"send takes an Event or a list of them, not {type(events).__name__}")
    return list(events)


async def send(store: Events, prepared: Prepared, *, patience_s: float | None = PATIENCE_S) -> list[str]:
    """Send, and return the events' ids in their order. `patience_s` None waits for as long as Redis is away.

    Raises SendError, QueueFull, StateLost.
    """
    chunks = prepared.chunks()
    if patience_s is not None:
        patience_s += sum(len(write.blob) for write in prepared.writes) / BYTES_PER_S
    if len(chunks) == 1:
        outcomes: list[Any] = [await _attempt(store, prepared.writes, patience_s)]
    else:
        outcomes = await asyncio.gather(*(_attempt(store, prepared.writes[chunk], patience_s) for chunk in chunks))
    failures = [outcome for outcome in outcomes if outcome is not None]
    if not failures:
        return [event.id or "" for event in prepared.events]
    if len(failures) == len(outcomes) and not isinstance(failures[0], Unavailable):
        raise failures[0]
    sent, not_sent, unknown = [], [], []
    for chunk, outcome in zip(chunks, outcomes, strict=True):
        if outcome is None:
            sent += prepared.events[chunk]
        elif isinstance(outcome, Unavailable) and outcome.maybe_applied:
            unknown += prepared.events[chunk]
        else:
            not_sent += prepared.events[chunk]
    raise SendError(str(failures[0]), sent, not_sent, unknown) from failures[0]


async def _attempt(store: Events, writes: Sequence[NewEvent], patience_s: float | None) -> DurableqError | None:
    try:
        await store.send_events(writes, patience_s)
    except DurableqError as error:
        return error
    return None
