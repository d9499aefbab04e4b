"""Delivers routed events to what waits for them: reads a page of what is filed, evaluates it, answers what matches.

Authority: the post of a name in Redis (decision 008). Any number may deliver: each entry is answered once for each wait, in
the order of its name, and what one leaves undone another takes up. An event of a million waits is pages of a hundred, so
neither this process nor Redis is busy with it for longer than a page.

Whoever finds that somebody else is at it looks again soon: what is not taken further for 200 ms is anybody's.

Failures. POST_MOVED: somebody else has delivered the entry; look for the next one. What is filed and cannot be read here (a
newer release's, or damaged) does not match, and is said once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from durableq.model.event import first_given, read_head
from durableq.model.filing import read_tail
from durableq.store.failures import PostMoved
from durableq.store.runs import Runs
from durableq.store.waits import Filed, InHands, Page, Waits
from durableq.words.errors import CodecError, DurableqError
from durableq.words.ids import run_created_at_ms
from durableq.words.telemetry import Log

IDLE_S: Final = 30.0
"""Nothing is posted: the router, and each claim, say when something is."""


class Deliverer:
    """A service: one entry a round, at once again while there are more."""

    def __init__(
        self, waits: Waits, runs: Runs, log: Log, keep_failed: int, on_delivered: Callable[[], None] = lambda: None
    ) -> None:
        """`on_delivered` is told of each entry: routing may have paused for it."""
        self._waits = waits
        self._runs = runs
        self._log = log
        self._keep_failed = keep_failed
        self._on_delivered = on_delivered
        self._unreadable: set[str] = set()

    async def run_once(self) -> float:
        found = await self._next()
        if isinstance(found, InHands):
            return found.for_ms / 1000
        return 0.0 if found else IDLE_S

    async def deliver(self) -> int:
        """Deliver until nothing is posted that is not in somebody's hands. Returns the entries delivered."""
        count = 0
        while await self._next() is True:
            count += 1
        return count

    async def _next(self) -> bool | InHands:
        page = await self._waits.next_post()
        if isinstance(page, InHands):
            return page
        if page is not None:
            await self._deliver(page)
            self._on_delivered()
        return page is not None

    async def _deliver(self, first: Page) -> None:
        event = _scope(first.blob, first.entry)
        page: Page | None = first
        while page is not None:
            tickets = [filed.ticket for filed in page.filed if await self._matches(filed, event, page)]
            try:
                await self._waits.answer(page, tickets, len(first.blob), self._keep_failed)
            except PostMoved:
                return
            page = await self._waits.read_posts(page) if page.number else None

    async def _matches(self, filed: Filed, event: Mapping[str, Any] | None, page: Page) -> bool:
        if event is None:
            return False
        try:
            condition = read_tail(filed.tail)
            own = None
            if condition.event is None:
                # The time in the id, which is that of the event if one has started it.
                given = await self._runs.read_first_given(filed.run_id)
                own = first_given(given, run_created_at_ms(filed.run_id)).scope()
            return condition.holds(own, event)
        except (CodecError, DurableqError, LookupError, TypeError) as error:
            if filed.run_id not in self._unreadable and len(self._unreadable) < 1000:
                self._unreadable.add(filed.run_id)
                self._log.warning(
                    "wait.unreadable",
                    run_id=filed.run_id,
                    name=page.event_name,
                    error=f"{type(error).__name__}: {error}",
                )
            return False


def _scope(blob: bytes, entry: str) -> Mapping[str, Any] | None:
    """The event as conditions see it; None for one that cannot be read, which answers nobody."""
    try:
        return read_head(blob).scope(entry)
    except CodecError:
        return None
