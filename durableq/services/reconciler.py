"""Compares what this child has in hand with what its lease holds in Redis, and gives back strangers.

After each reconnect and every 30 s. A stranger is a run that Redis counts as ours and we do not know: a reply was lost
beyond what claim numbers mend, or a write failed in a way that no rule expects. The other way round, a run that we have and
the lease does not hold is not ours any more and is dropped.
"""

from __future__ import annotations

from typing import Final

from durableq.services.claimer import Claimer
from durableq.services.hand import Hand
from durableq.store.runs import Runs
from durableq.words.telemetry import Log

EVERY_S: Final = 30.0


class Reconciler:
    """A service over release_strangers."""

    def __init__(self, runs: Runs, claimer: Claimer, hand: Hand, log: Log) -> None:
        self._runs = runs
        self._claimer = claimer
        self._hand = hand
        self._log = log

    async def run_once(self) -> float:
        async with self._claimer.claiming:
            lease = self._claimer.lease
            known = self._hand.known()
            released, lost = await self._runs.release_strangers(lease, self._claimer.draw(), known)
        if released:
            self._log.warning("runs.strangers", released=len(released))
        for run_id in lost:
            held = self._hand.get(run_id)
            # Only what is still executing: a run whose last write is under way has rightly left the lease.
            if held is not None and lease == self._claimer.lease:
                self._log.warning("run.dropped", run_id=run_id, reason="its lease does not hold it")
                held.drop("its lease does not hold it")
        return EVERY_S
