"""Rescue: a scheduler's rounds, from the death of a machine until its runs are ready again.

Only then are there leases that nobody renews, so at all other times there is nothing to look for, and time may jump.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from durableq.services.committer import Retention
from durableq.services.rescuer import Rescuer
from durableq.store.calls import Calls
from durableq.store.leases import Leases
from durableq.testing.clock import VirtualClock
from durableq.testing.quiet import OnlyTrouble
from durableq.words.telemetry import get_log


class Rescue:
    """A duty. `leases` tells those that nobody renews, and those that live on, whose worker renews them meanwhile."""

    def __init__(
        self, calls: Calls, clock: VirtualClock, leases: Callable[[], tuple[Sequence[str], Sequence[str]]]
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._of_crew = leases
        self._leases = Leases(calls)
        self._rescuer = Rescuer(self._leases, OnlyTrouble(get_log()), Retention().failed, _nothing)
        self._freed: set[str] = set()
        self._next_ms = 0

    async def next_at_ms(self) -> int | None:
        """Now, if a machine has just died; else a scheduler's next round; None while every lease is renewed."""
        lost, _ = self._of_crew()
        return max(self._next_ms, self._clock.now_ms) if set(lost) - self._freed else None

    async def do(self) -> None:
        """One round."""
        lost, living = self._of_crew()
        await self._leases.renew_leases(living)
        delay_s = await self._rescuer.run_once()
        self._next_ms = self._clock.now_ms + round(delay_s * 1000)
        for lease in set(lost) - self._freed:
            known = [await self._calls.read("ZSCORE", self._calls.key(name), lease) for name in ("leases", "dead")]
            if known == [None, None]:
                self._freed.add(lease)


def _nothing() -> None:
    """Timers of final runs are left: retention does not apply here."""
