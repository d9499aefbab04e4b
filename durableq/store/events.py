"""Verbs of events: accept them, read what is not routed, route it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple

from durableq.store.calls import Calls
from durableq.store.facts import RunFacts

UNROUTED_BYTES: Final = 1_000_000
"""A batch of entries ends behind the one that passes this."""


class NewEvent(NamedTuple):
    """An event to accept: the hash of its (name, id), for how long that is remembered, and the encoded event."""

    key: str
    remember_ms: int
    blob: bytes


class Entry(NamedTuple):
    """An accepted event in the stream."""

    id: str
    blob: bytes


class Decision(NamedTuple):
    """What an entry leads to: kind 'run', 'event', 'heard', 'aside' or 'fault' (see route_events.lua)."""

    kind: str
    entry: str
    run_id: str = ""
    function: str = ""
    due_at_ms: int = 0
    detail: bytes = b""


class Routed(NamedTuple):
    """Runs created, whether entries remain beyond the cursor, and how many are posted for waits."""

    created: int
    more: bool
    posted: int


class Backlog(NamedTuple):
    """The cursor, the registry's version, and the entries behind the cursor."""

    cursor: str
    registry: int
    entries: list[Entry]


class Events:
    """The event stream of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def facts(self) -> RunFacts:
        """What is known of the runs that entries refer to."""
        return RunFacts(self._calls)

    async def send_events(self, events: Sequence[NewEvent], within_s: float | None = None) -> list[str]:
        """Accept at most 100 events. Returns per event its entry id, or "" for one accepted before.

        Raises QueueFull, StateLost, or Unavailable after `within_s`.
        """
        future = self._calls.run("send_events", *chain.from_iterable(events))
        reply = await (future if within_s is None else self._calls.link.within(within_s, future))
        return [entry.decode() for entry in reply]

    async def unrouted(self, limit: int, within_s: float | None = None) -> Backlog:
        """The oldest entries that nobody has routed yet. Raises Unavailable after `within_s`."""
        future = self._calls.run("read_unrouted", limit, UNROUTED_BYTES)
        reply = await (future if within_s is None else self._calls.link.within(within_s, future))
        cursor, registry, entries = reply
        return Backlog(cursor.decode(), registry, [Entry(entry.decode(), fields[1]) for entry, fields in entries])

    async def route_events(
        self,
        after: str,
        upto: str,
        registry: int,
        entries: int,
        decisions: Sequence[Decision],
        trim_above: int,
        names: int = 0,
        about: Iterable[str] = (),
    ) -> Routed:
        """Apply the decisions for the entries (after, upto], which rest on these versions of functions and names.

        `about` has the names of all the entries, for who was refused before: other names may change then.

        Raises CursorMoved, RegistryChanged, NamesChanged, DeliveriesBehind, QueueFull.
        """
        heard = sum(decision.kind == "heard" for decision in decisions) if names else 0
        said = "".join(f"\n{name}\n" for name in about)
        created, more, posted = await self._calls.run(
            "route_events",
            after,
            upto,
            registry,
            names,
            heard,
            said,
            entries,
            trim_above,
            *chain.from_iterable(decisions),
        )
        return Routed(created, more == 1, posted)


async def read_entries(calls: Calls) -> list[Entry]:
    """Every entry that the stream still has, oldest first."""
    key = calls.key("events")
    return [Entry(entry.decode(), fields[1]) for entry, fields in await calls.read("XRANGE", key, "-", "+")]
