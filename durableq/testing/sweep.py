"""Sweeping: what hangs on runs that have ended goes at once, and what failed and cancelled ones awaited is cancelled."""

from __future__ import annotations

from durableq.services.committer import Retention
from durableq.store.calls import Calls
from durableq.store.cancels import Cancels
from durableq.testing.clock import VirtualClock


class Sweep:
    """A duty. A scheduler does it within seconds; here nothing is idle before it is done."""

    def __init__(self, calls: Calls, clock: VirtualClock) -> None:
        self._calls = calls
        self._clock = clock
        self._cancels = Cancels(calls)

    async def next_at_ms(self) -> int | None:
        """Now, if a run has ended with something hanging on it."""
        void = await self._calls.read("EXISTS", self._calls.key("void"))
        return self._clock.now_ms if void else None

    async def do(self) -> None:
        """Everything that there is."""
        while await self._cancels.sweep_ended(keep_failed=Retention().failed):
            pass
