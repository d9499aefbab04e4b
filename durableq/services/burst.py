"""Ends a worker when nothing is left to do: `durableq worker --burst`.

Nothing left means, in one and the same moment: every event is routed and delivered, no run is ready for a function of this
worker, and its children have none in hand. With a scheduler beside it, no timer is due either. What is due later (sleeps,
retries, delayed starts) or waits for something to come stays where it is, and so does what other workers have in hand: this
one does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from durableq.store.work import Work
from durableq.words.telemetry import Log

LOOK_S: Final = 0.1


class Burst:
    """A service: looks ten times a second, and tells once.

    `leases` are those of the children at work, None while one is starting or being replaced.
    """

    def __init__(
        self, work: Work, leases: Callable[[], list[str] | None], done: Callable[[], None], log: Log, *, timers: bool
    ) -> None:
        self._work = work
        self._leases = leases
        self._done = done
        self._log = log
        self._timers = timers
        self._quiet_under: list[str] = []

    async def run_once(self) -> float:
        leases = self._leases()
        if leases is None or not await self._nothing_left(leases):
            self._quiet_under = []
        elif self._quiet_under != leases:
            # Twice under the same leases: a child that has just lost its own may claim under one we have not heard of.
            self._quiet_under = leases
        else:
            self._log.info("worker.nothing_left")
            self._done()
            return 3600.0
        return LOOK_S

    async def _nothing_left(self, leases: list[str]) -> bool:
        left = await self._work.left(leases)
        return not (left.unrouted or left.posted or left.ready or left.in_hand or (self._timers and left.due))
