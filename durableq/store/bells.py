"""Blocking reads: what wakes an idle process. All of it is a hint; slow polling is the truth.

A bell is a stream of one entry with one consumer group: it wakes one of the processes that wait, without anything to
acknowledge. Read by a link of its own, since a blocking read holds up what is behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from durableq.model.memo import Memo
from durableq.store import records
from durableq.store.calls import Calls
from durableq.store.events import Backlog, Entry
from durableq.store.failures import BellGone
from durableq.store.keys import GROUP


class Rung(NamedTuple):
    """What a blocking read brought."""

    ready: bool
    events: bool
    timers: bool
    backlog: Backlog | None
    """The event that rang, if it came alone: what `Events.unrouted` would have answered then."""
    news: list[tuple[str, str, Memo]]
    """(run id, step key, memo) from the inbox."""
    cancelled: list[tuple[str, str]]
    """(run id, why) from the inbox: runs that are cancelled and were in hand."""
    posts: bool = False
    """Who has left, or died, may have had something to deliver."""


CONSUMER: Final = "any"
"""One name for all: nothing is ever pending, and a name per process would stay behind with every deploy."""

_POSTS: Final = b"2"

SILENCE: Final = Rung(False, False, False, None, [], [])


class Bells:
    """The bells of one shard, for one process."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def wait(self, *, apps: Sequence[str], events: bool, timers: bool, inbox: str, block_ms: int | None) -> Rung:
        """Wait for what is asked for, at most `block_ms`; None: look, without waiting. `apps` rings for ready runs; `inbox`
        is a lease, or "".

        Bells that every process shares are made again when somebody has deleted them. Raises BellGone for what is still
        not there: the inbox of a lease that has ended, or all of a namespace.
        """
        key = self._calls.key
        streams = [key("bell", app) for app in apps]
        if events:
            streams.append(key("event_bell"))
        if timers:
            streams.append(key("timer_bell"))
        if inbox:
            streams.append(key("inbox", inbox))
        wanted: tuple[Any, ...] = (
            "XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", 100,
            *(() if block_ms is None else ("BLOCK", block_ms)), "NOACK",
            "STREAMS", *streams, *(">" for _ in streams),
        )  # fmt: skip
        try:
            reply = await self._calls.read(*wanted)
        except BellGone:
            await self._hang_again()
            reply = await self._calls.read(*wanted)
        if not reply:
            return SILENCE
        rung = {name.decode(): entries for name, entries in reply}
        return Rung(
            any(key("bell", app) in rung for app in apps),
            key("event_bell") in rung,
            key("timer_bell") in rung,
            _backlog(rung.get(key("event_bell"), ())),
            *await self._told(rung.get(key("inbox", inbox), ())),
            any(fields[1] == _POSTS for _, fields in rung.get(key("event_bell"), ())),
        )

    async def _told(
        self, entries: Sequence[tuple[bytes, Sequence[bytes]]]
    ) -> tuple[list[tuple[str, str, Memo]], list[tuple[str, str]]]:
        news, cancelled = [], []
        for _, fields in entries:
            given = dict(zip(fields[::2], fields[1::2], strict=True))
            run_id = given[b"r"].decode()
            if b"x" in given:
                cancelled.append((run_id, given[b"x"].decode()))
                continue
            key, raw = given[b"k"].decode(), given.get(b"m")
            if raw is None:  # large: only where it is recorded
                raw = await self._calls.read("HGET", self._calls.key("steps", run_id), key)
            if raw is not None:
                news.append((run_id, key, records.memo(raw)))
        return news, cancelled

    async def _hang_again(self) -> None:
        """Make the shared bells that somebody has deleted.

        Only in the namespace that we know: making them gives a namespace that is gone a new identity, and that is for a
        process which starts. It is opened by calls of their own, so a loss between the two is still noticed.
        """
        calls = self._calls
        identity = await calls.read("HGET", calls.key("meta"), "identity")
        if identity is not None and identity.decode() == calls.identity:
            await Calls(calls.link, calls.scripts, calls.keys).open()


def _backlog(entries: Sequence[tuple[bytes, Sequence[bytes]]]) -> Backlog | None:
    if len(entries) != 1 or len(entries[0][1]) == 2:
        return None
    _, entry, _, cursor, _, registry, _, blob = entries[0][1]
    return Backlog(cursor.decode(), int(registry), [Entry(entry.decode(), blob)])
