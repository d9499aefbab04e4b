"""Says in the log what flow control does: functions that were paused or resumed, and triggers that started nothing.

A limit that drops is to be heard of, and not once for each event that it drops: of each function there is at most one line a
minute, with the counts by reason. What debounces replace, and duplicates, are not told: that is how they work, and
`durableq functions show ID` has both.

In `durableq dev`, where a person watches, each is told at once, with what is parked and held back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final

from durableq.services.flow_looks import held_back_views
from durableq.services.flow_skips import skips_of
from durableq.services.flow_views import LimitView
from durableq.services.pressure import limits_view
from durableq.store.calls import Calls
from durableq.store.flow import SKIP, Flow
from durableq.store.flow_reads import FlowReads
from durableq.store.registry import Registry
from durableq.words.periods import format_ms
from durableq.words.telemetry import Log

ROUND_S: Final = 60.0
"""A function is told of once a round. Of an app that is three small reads."""
DEV_ROUND_S: Final = 1.0
TOLD_MAX: Final = 10
"""Of one function and round, in dev: skips, keys, and what is held back."""
UNTOLD: Final = frozenset({"debounce", "idempotency"})

Skipped = Mapping[tuple[str, str], int]


class FlowWatch:
    """A service that only reads. Any number of schedulers may run it: each says what it has seen."""

    def __init__(self, calls: Calls, log: Log, *, in_dev: bool = False) -> None:
        self._calls = calls
        self._flow, self._reads = Flow(calls), FlowReads(calls)
        self._log = log
        self._in_dev = in_dev
        self._skipped: dict[str, Skipped] = {}
        self._paused: dict[str, tuple[str, int]] = {}
        self._parked: set[str] = set()
        self._held_back: set[str] = set()

    async def run_once(self) -> float:
        for app in await Registry(self._calls).apps():
            paused, skipped = await asyncio.gather(self._flow.paused(app), self._flow.skipped(app))
            self._tell_pauses({f"{app}/{name}": how for name, how in paused.items()}, f"{app}/")
            await self._tell_skips(app, skipped)
        if self._in_dev:
            await self._tell_more()
        return DEV_ROUND_S if self._in_dev else ROUND_S

    def _tell_pauses(self, paused: Mapping[str, tuple[str, int]], prefix: str) -> None:
        for function, (mode, at_ms) in paused.items():
            if self._paused.get(function) != (mode, at_ms):
                meanwhile = "left out" if mode == SKIP else "queued"
                self._log.info("function.paused", function=function, meanwhile=meanwhile)
        for function in self._paused.keys() - paused.keys():
            if function.startswith(prefix):
                self._log.info("function.resumed", function=function)
                del self._paused[function]
        self._paused.update(paused)

    async def _tell_skips(self, app: str, skipped: Skipped) -> None:
        before = self._skipped.get(app)
        self._skipped[app] = skipped
        if before is None:
            return  # what was left out before this process began is no news
        news: dict[str, Counter[str]] = {}
        for (name, reason), count in skipped.items():
            new = count - before.get((name, reason), 0)
            if new > 0 and (self._in_dev or reason not in UNTOLD):
                news.setdefault(f"{app}/{name}", Counter())[reason] = new
        for function, reasons in news.items():
            if self._in_dev:
                await self._tell_each(function, reasons.total())
            else:
                told = ", ".join(f"{count} by {reason}" for reason, count in reasons.most_common())
                self._log.info("triggers.left_out", function=function, count=reasons.total(), reasons=told)

    async def _tell_each(self, function: str, count: int) -> None:
        for skip in reversed(await skips_of(self._flow, self._reads, function, min(count, TOLD_MAX))):
            what = f"event {skip.event_name}" if skip.event_name else "a trigger"
            self._log.info("event.left_out", function=function, what=what, reason=skip.reason, why=skip.why)
        if count > TOLD_MAX:
            self._log.info("triggers.left_out", function=function, count=count - TOLD_MAX, reasons="as those above")

    async def _tell_more(self) -> None:
        """What begins to wait at a limit, and what is debounced or collected."""
        now_ms = await self._reads.now_ms()
        functions = sorted(await self._reads.numbers(await Registry(self._calls).apps()))
        limits = await limits_view(self._calls, functions, TOLD_MAX)
        parked = {view.name: view for view in limits.keys if view.parked}
        for name in parked.keys() - self._parked:
            view = parked[name]
            function = ", ".join(view.functions)
            self._log.info("runs.parked", function=function, runs=view.parked, waits_for=_waits_for(view, now_ms))
        self._parked = set(parked)
        held_back: set[str] = set()
        for function in functions:
            for one in (await held_back_views(self._reads, function, TOLD_MAX))[1]:
                held_back.add(one.run)
                if one.run not in self._held_back and one.fires_at_ms:
                    fires_in = format_ms(max(0, one.fires_at_ms - now_ms))
                    key = "" if one.key is None else f" of key {one.key!r}"
                    self._log.info("event.held_back", function=function, by=f"{one.kind}{key}", fires_in=fires_in)
        self._held_back = held_back


def _waits_for(view: LimitView, now_ms: int) -> str:
    of_key = "" if view.key is None else f" of key {view.key!r}"
    if view.kind == "throttle":
        return f"the throttle{of_key}, next start in {format_ms(max(0, view.opens_at_ms - now_ms))}"
    what = "the singleton" if view.kind == "singleton" else "a slot"
    return f"{what}{of_key} ({view.taken} of {view.limit or 'no limit'} held)"
