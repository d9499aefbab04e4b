"""Performs the ticks of cron triggers. Any number of schedulers may run it.

Authority: Redis has each trigger, and up to where its ticks are settled. A round reads those that are due by the server's
clock, plans what to do (model/cron/plan.py), and applies each plan in one script, which names what was read: of two
schedulers with the same plan the second is refused, and a scheduler that dies leaves either all of a tick or nothing.

Failures. CronMoved: somebody else was first. QueueFull: nothing has changed, and the ticks are caught up with once the
memory gate opens. A trigger that cannot be read here (a newer release's, an unknown zone) is left for others, and looked at
again in a few seconds.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from durableq.model.cron import Due, Plan, planned, tick_event
from durableq.model.event import encode_event, read_head
from durableq.model.trigger import CronTrigger
from durableq.services.declared import Declared
from durableq.store.calls import BATCH
from durableq.store.crons import Crons, CronToLookAt, Settled, Ticked, TickWrite
from durableq.store.failures import CronMoved
from durableq.words.errors import ConfigError, QueueFull
from durableq.words.ids import tick_run_id
from durableq.words.telemetry import Log

IDLE_S: Final = 30.0
"""How often it looks when nothing is due: the bell of a new trigger wakes one scheduler only, which may die."""

KNOWN_MAX: Final = 10_000
FULL_PAUSE_S: Final = 5.0
UNREADABLE_PAUSE_MS: Final = 5_000
LATE_S: Final = 0.0005
"""The clock counts whole ms, and a call a hair too early finds nothing due."""


class Ticker:
    """A service over read_crons and tick_cron."""

    def __init__(self, crons: Crons, declared: Declared, log: Log, shard: int = 0) -> None:
        """`declared` says what runs of a function are created with."""
        self._crons = crons
        self._declared = declared
        self._log = log
        self._shard = shard
        self._resume_at_s = 0.0
        self._planning = asyncio.Lock()
        self._known: dict[bytes, CronTrigger] = {}
        self._unreadable: dict[str, bytes] = {}

    async def run_once(self) -> float:
        # No hint cuts the pause after a refusal short.
        pause_s = self._resume_at_s - time.monotonic()
        if pause_s > 0:
            return pause_s
        look = await self._crons.read_crons(BATCH)
        outcomes = await asyncio.gather(
            *(self._look_at(cron, look.now_ms) for cron in look.crons), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        full = next((failure for failure in failures if isinstance(failure, QueueFull)), None)
        if full is not None:
            self._log.warning("cron.refused", reason=str(full))
            self._resume_at_s = time.monotonic() + FULL_PAUSE_S
            return FULL_PAUSE_S
        if failures:
            raise failures[0]
        if look.crons:
            return 0.0
        return IDLE_S if look.next_ms is None else min(IDLE_S, look.next_ms / 1000 + LATE_S)

    async def _look_at(self, cron: CronToLookAt, now_ms: int) -> None:
        try:
            trigger = self._trigger(cron.spec)
            async with self._planning:
                # One a turn of the loop: after a long outage a plan takes up to 0.1 s, and others wait for the loop too.
                await asyncio.sleep(0)
                plan = planned(trigger, cron.function, cron.upto_ms, now_ms)
        except ConfigError as error:
            if self._unreadable.get(cron.trigger) != cron.spec:
                self._unreadable[cron.trigger] = cron.spec
                self._log.error("cron.unreadable", function=cron.function, error=str(error))
            await self._leave(cron, now_ms)
            return
        try:
            await self._perform(cron, trigger, plan, now_ms)
        except CronMoved:
            pass  # performed by another scheduler, or changed by a deployment: the next round sees which

    async def _perform(self, cron: CronToLookAt, trigger: CronTrigger, plan: Plan, now_ms: int) -> None:
        """At most 100 ticks a call. Each leaves the trigger where it may be gone on with by anybody."""
        missed = plan.missed
        for start in range(0, len(plan.ticks), BATCH):
            ticks, later = plan.ticks[start : start + BATCH], plan.ticks[start + BATCH :]
            settled = (
                Settled(ticks[-1].tick_ms, missed, later[0].tick_ms, now_ms)
                if later
                else Settled(plan.upto_ms, missed, plan.upcoming.tick_ms, plan.upcoming.due_at_ms)
            )
            writes = [await self._write(cron.function, trigger, due) for due in ticks]
            done = await self._crons.tick_cron(cron, settled, trigger.overlap, writes)
            if done.held_back:
                self._log.info("cron.held_back", function=cron.function, cron=str(trigger))
                return
            self._tell(cron, trigger, ticks, done, missed)
            cron, missed = cron._replace(upto_ms=settled.upto_ms), 0
        if not plan.ticks:
            settled = Settled(plan.upto_ms, missed, plan.upcoming.tick_ms, plan.upcoming.due_at_ms)
            await self._crons.tick_cron(cron, settled, trigger.overlap)
            self._tell(cron, trigger, [], Ticked(0, 0, False), missed)

    def _trigger(self, spec: bytes) -> CronTrigger:
        known = self._known.get(spec)
        if known is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            known = self._known[spec] = CronTrigger.from_spec(spec)
        return known

    async def _write(self, function: str, trigger: CronTrigger, due: Due) -> TickWrite:
        blob = encode_event(tick_event(function, trigger.key, trigger.cron, trigger.timezone, due))
        run_id = tick_run_id(function, trigger.key, due.tick_ms, self._shard)
        # Of a function that is not registered any more the script knows: it holds the tick back.
        extras = await self._declared.extras(function, read_head(blob).scope()) or b""
        return TickWrite(due.tick_ms, run_id, blob, extras)

    async def _leave(self, cron: CronToLookAt, now_ms: int) -> None:
        later = Settled(cron.upto_ms, 0, 0, now_ms + UNREADABLE_PAUSE_MS)
        try:
            await self._crons.tick_cron(cron, later, "")
        except CronMoved:
            pass

    def _tell(self, cron: CronToLookAt, trigger: CronTrigger, ticks: list[Due], done: Ticked, missed: int) -> None:
        about = {"function": cron.function, "cron": str(trigger)}
        if done.created:
            self._log.info("cron.ticked", **about, runs=done.created, tick_ms=ticks[-1].tick_ms)
        if done.skipped:
            self._log.info("cron.skipped", **about, ticks=done.skipped, reason="the run before is not finished")
        if missed:
            self._log.warning("cron.missed", **about, ticks=missed, catch_up=trigger.catch_up)
