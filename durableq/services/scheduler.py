"""A scheduler: fires timers, performs the ticks of crons, rescues runs, keeps house. It owns no truth, so any number may run.

Two connections: one for scripts, one for the blocking read of the timer bell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from durableq.services.committer import Retention
from durableq.services.declared import Declared
from durableq.services.flow_watch import FlowWatch
from durableq.services.health import Watched, stalled
from durableq.services.janitor import Ages, Janitor
from durableq.services.rescuer import Rescuer
from durableq.services.service import Loop
from durableq.services.ticker import Ticker
from durableq.services.waker import Waker
from durableq.store.bells import Bells
from durableq.store.calls import Calls
from durableq.store.cancels import Cancels
from durableq.store.crons import Crons
from durableq.store.leases import Leases
from durableq.store.registry import Registry
from durableq.store.timers import Timers
from durableq.store.upkeep import Upkeep
from durableq.store.waits import Waits
from durableq.words.errors import StateLost
from durableq.words.telemetry import Log

BELL_BLOCK_MS: Final = 10_000
TICKER_HINT_S: Final = 0.25
"""By how much a ring reaches the ticker later, and how often at most: rings for timers come in hundreds a second."""


class Scheduler:
    """The duties of one scheduler process, or of `durableq worker --with-scheduler`."""

    def __init__(
        self,
        calls: Calls,
        bell_calls: Calls,
        log: Log,
        on_state_lost: Callable[[StateLost], None],
        *,
        retention: Retention | None = None,
        ages: Ages | None = None,
        in_dev: bool = False,
    ) -> None:
        kept = retention or Retention()
        self._waker = Loop("waker", Waker(Timers(calls), kept.failed), log, on_state_lost)
        duties = Janitor(Upkeep(calls), Cancels(calls), Waits(calls), Registry(calls), log, ages or Ages(), kept.failed)
        janitor = Loop("janitor", duties, log, on_state_lost)
        rescuer = Loop("rescuer", Rescuer(Leases(calls), log, kept.failed, janitor.hint), log, on_state_lost)
        ticker = Loop("ticker", Ticker(Crons(calls), Declared(Registry(calls)), log), log, on_state_lost)
        watch = Loop("flow-watch", FlowWatch(calls, log, in_dev=in_dev), log, on_state_lost)
        timer_bell = Loop("timer-bell", _TimerBell(Bells(bell_calls), self._waker, ticker), log, on_state_lost)
        self._loops = [self._waker, ticker, rescuer, janitor, watch, timer_bell]
        # Not the janitor nor the ticker: a round of theirs may be many calls, which a slow Redis may stretch beyond any bound.
        self._fetching = (
            Watched(self._waker, calls.link),
            Watched(rescuer, calls.link),
            Watched(timer_bell, bell_calls.link),
        )

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def unwell(self) -> str:
        """What of it does not move; "" for nothing."""
        return stalled(self._fetching)

    async def stop(self) -> None:
        """Stop at once: every effect is one script, so there is nothing to finish."""
        await asyncio.gather(*(loop.stop() for loop in self._loops))


class _TimerBell:
    """Turns the timer bell into a hint for the waker, and a little later for the ticker: new cron triggers ring it too."""

    def __init__(self, bells: Bells, waker: Loop, ticker: Loop) -> None:
        self._bells = bells
        self._waker = waker
        self._ticker = ticker
        self._told = False

    async def run_once(self) -> float:
        rung = await self._bells.wait(apps=(), events=False, timers=True, inbox="", block_ms=BELL_BLOCK_MS)
        if rung.timers:
            self._waker.hint()
            if not self._told:
                self._told = True
                asyncio.get_running_loop().call_later(TICKER_HINT_S, self._tell_ticker)
        return 0.0

    def _tell_ticker(self) -> None:
        self._told = False
        self._ticker.hint()
