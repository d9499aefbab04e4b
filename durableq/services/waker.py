"""Fires timers that are due: sleeps, retries, delayed events. Any number of schedulers may run it.

Each round fires at most 100, the longest overdue first, and the script says when the next one is due; the timer bell says
when an earlier one has come. Rounds are at least 4 ms apart, so that a thousand wake-ups a second cost 250 calls and not a
thousand, and are at most about 4 ms late for it.
"""

from __future__ import annotations

from typing import Final

from durableq.store.timers import Timers

ROUND_MIN_S: Final = 0.004
IDLE_S: Final = 10.0
FULL_ROUND: Final = 100


class Waker:
    """A service over fire_timers."""

    def __init__(self, timers: Timers, keep_failed: int) -> None:
        self._timers = timers
        self._keep_failed = keep_failed

    async def run_once(self) -> float:
        fired = await self._timers.fire_timers(FULL_ROUND, self._keep_failed)
        if fired.fired == FULL_ROUND:
            return 0.0
        if fired.next_ms is None:
            return IDLE_S
        # Half a millisecond more: the clock counts whole ones, and a call a hair too early finds nothing due.
        return min(IDLE_S, max(ROUND_MIN_S, fired.next_ms / 1000 + 0.0005))
