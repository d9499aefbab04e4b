"""Compares what this child has in hand with what its lease holds in Redis, and gives back strangers.

After each reconnect, every 30 s, and every 2 s while something has been in hand for longer than a second: so a run that was
cancelled stops within 2 s even if the hint was lost (decision 010), and short runs cost nothing.

A stranger is a run that Redis counts as ours and we do not know: a reply was lost beyond what claim numbers mend, or a write
failed in a way that no rule expects. The other way round, a run that we have and the lease does not hold is cancelled, or has
another holder: it is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from durableq.services.claimer import Claimer
from durableq.services.hand import Hand
from durableq.store.runs import Runs
from durableq.words.errors import DurableqError
from durableq.words.telemetry import Log

EVERY_S: Final = 30.0
WHILE_IN_HAND_S: Final = 2.0
TICK_S: Final = 1.0
NOT_HELD: Final = "its lease does not hold it"


class Reconciler:
    """A service over release_strangers."""

    def __init__(
        self, runs: Runs, claimer: Claimer, hand: Hand, log: Log, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._runs = runs
        self._claimer = claimer
        self._hand = hand
        self._log = log
        self._clock = clock
        self._before: frozenset[str] = frozenset()
        """What was in hand a tick ago."""
        self._compared_at_s = float("-inf")
        self._asked = False

    def ask(self) -> None:
        """Something may be amiss: the next round compares, whatever is in hand."""
        self._asked = True

    async def run_once(self) -> float:
        before, self._before = self._before, self._hand.runs
        since_s = self._clock() - self._compared_at_s
        stayed = since_s > WHILE_IN_HAND_S - TICK_S / 2 and not before.isdisjoint(self._before)
        if self._asked or stayed or since_s >= EVERY_S:
            self._asked = False
            try:
                await self.compare()
            except DurableqError:
                self._asked = True
                raise
        return TICK_S

    async def compare(self) -> None:
        """Look at once. Raises LeaseLost."""
        self._compared_at_s = self._clock()
        async with self._claimer.claiming:
            lease = self._claimer.lease
            known = self._hand.known()
            released, lost = await self._runs.release_strangers(lease, self._claimer.draw(), known)
        if released:
            self._log.warning("runs.strangers", released=len(released))
        await asyncio.gather(*(self._drop(run_id, lease) for run_id in lost))

    async def _drop(self, run_id: str, lease: str) -> None:
        # Only what is still executing: a run whose last write is under way has rightly left the lease.
        held = self._hand.get(run_id)
        if held is None:
            return
        why = await self._runs.why_cancelled(run_id)
        if not held.ours:
            return  # as the one that is suspended, and whose code is being left
        if why is not None:
            held.cancelled(why)
        elif lease == self._claimer.lease:
            self._log.warning("run.dropped", run_id=run_id, reason=NOT_HELD)
            held.drop(NOT_HELD)
