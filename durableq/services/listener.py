"""Reads the bells: wakes the claimer and the router, and brings results from outside to the runs in hand.

All hints. Silence for a while is itself one: the claimer polls then, which is the truth that the bells only anticipate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from durableq.model.memo import Memo
from durableq.services.claimer import Claimer
from durableq.store.bells import Bells, Rung
from durableq.store.events import Backlog
from durableq.store.failures import BellGone

QUIET_MS: Final = 2500
FULL_MS: Final = 100
"""Without free places the bell of ready runs is left to others; looked at again so soon, since places come back."""
ANSWERING_S: Final = 0.003
"""Longer than a ring takes to become a first step's record, about 1.5 ms; an event that comes within it waits as long."""
GONE_PAUSE_S: Final = 0.5
"""After finding the inbox gone: about what it takes to begin another lease."""


class Listener:
    """A service over one blocking read a round."""

    def __init__(
        self,
        bells: Bells,
        claimer: Claimer,
        apps: Sequence[str],
        *,
        alone: bool,
        ready: Callable[[], None],
        events_wait: Callable[[Backlog | None], None],
        posts_wait: Callable[[], None],
        deliver: Callable[[str, str, Memo], None],
        cancelled: Callable[[str, str], None],
        inbox_gone: Callable[[], None],
    ) -> None:
        self._bells = bells
        self._claimer = claimer
        # A child for suspects leaves every ring to those who can answer it.
        self._apps = () if alone else apps
        self._events = not alone
        self._ready = ready
        self._events_wait = events_wait
        self._posts_wait = posts_wait
        self._deliver = deliver
        self._cancelled = cancelled
        self._inbox_gone = inbox_gone
        self._left = False

    def leave(self) -> None:
        """Nothing is claimed any more: leave every further ring to those who can answer it, and read the inbox alone."""
        self._apps, self._events, self._left = (), False, True

    async def run_once(self) -> float:
        wanting = self._claimer.wanting
        try:
            rung = await self._bells.wait(
                apps=self._apps if wanting else (),
                events=self._events,
                timers=False,
                inbox=self._claimer.lease,
                block_ms=QUIET_MS if wanting or self._left else FULL_MS,
            )
        except BellGone:
            self._inbox_gone()
            return GONE_PAUSE_S
        self._tell(rung)
        if rung.events:
            self._events_wait(rung.backlog)
        if rung.posts:
            self._posts_wait()
        if rung.ready:
            self._ready()
        # What was rung is answered first: listening again at once would hear the ring of our own routing, and put an
        # idle claim and a read before the first step of the run. What rings meanwhile is kept.
        return ANSWERING_S if rung.events or rung.ready else 0.0

    async def look(self) -> None:
        """Read the inbox as it is, without waiting: for who turns this by hand. Raises BellGone."""
        inbox = self._claimer.lease
        self._tell(await self._bells.wait(apps=(), events=False, timers=False, inbox=inbox, block_ms=None))

    def _tell(self, rung: Rung) -> None:
        for run_id, key, memo in rung.news:
            self._deliver(run_id, key, memo)
        for run_id, why in rung.cancelled:
            self._cancelled(run_id, why)
