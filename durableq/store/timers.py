"""Verbs of time: fire what is due."""

from __future__ import annotations

from typing import NamedTuple

from durableq.store.calls import Calls
from durableq.store.records import pairs


class Fired(NamedTuple):
    """Timers fired, and ms until the next one (None: there is none)."""

    now_ms: int
    fired: int
    next_ms: int | None


class Timers:
    """The timers of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def fire_timers(self, limit: int = 100, keep_failed: int = 10_000) -> Fired:
        """Perform the effect of at most `limit` timers that are due, the longest overdue first."""
        now_ms, fired, next_ms = await self._calls.run("fire_timers", limit, keep_failed)
        return Fired(now_ms, fired, None if next_ms < 0 else next_ms)

    async def next_at_ms(self) -> int | None:
        """When the earliest timer is due; None when there is none."""
        head = await self._calls.read("ZRANGE", self._calls.key("timers"), 0, 0, "WITHSCORES")
        return next((int(float(due)) for _, due in pairs(head)), None) if head else None

    async def overdue_ms(self) -> int:
        """How late the earliest timer is, in ms; 0 when none is due."""
        head = await self._calls.read("ZRANGE", self._calls.key("timers"), 0, 0, "WITHSCORES")
        if not head:
            return 0
        ((_, due),) = pairs(head)
        seconds, micros = await self._calls.read("TIME")
        return max(0, int(seconds) * 1000 + int(micros) // 1000 - int(float(due)))
