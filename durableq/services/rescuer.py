"""Makes runs of dead workers ready again, at the latest one second after their lease ran out.

Every round is also a beat: it tells the namespace that time passes under somebody's eyes. A gap of more than 3 s in the
beats means that nobody could renew, so rounds come every 1.25 s even when no lease is near its end; with renewals every
2 s from each worker that keeps a namespace with one scheduler well below the gap, at 0.8 commands a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from durableq.store.leases import Leases
from durableq.words.telemetry import Log

ROUND_S: Final = 1.25
LATE_S: Final = 0.05


class Rescuer:
    """A service over rescue_leases."""

    def __init__(self, leases: Leases, log: Log, keep_failed: int, sweep: Callable[[], None]) -> None:
        self._leases = leases
        self._log = log
        self._keep_failed = keep_failed
        self._sweep = sweep

    async def run_once(self) -> float:
        done = await self._leases.rescue_leases(keep_failed=self._keep_failed)
        if done.leases or done.runs:
            self._log.warning("leases.rescued", leases=done.leases, runs=done.runs)
        if done.sweep:
            self._sweep()
        if done.next_round_ms == 0:
            return 0.0
        return min(ROUND_S, done.next_round_ms / 1000 + LATE_S)
