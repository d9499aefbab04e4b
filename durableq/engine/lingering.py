"""Lingering: how long a run that could be suspended is kept in hand for code that awaits something that is no step.

Bounded, because such a run holds a worker's slot; counted from the last result told or body begun, so that code that polls
cannot extend it. When the time is up the run is suspended and that code starts anew in the next replay.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable
from typing import TYPE_CHECKING

from durableq.engine.awaits import Awaits, awaits
from durableq.words.errors import StepError

if TYPE_CHECKING:
    from durableq.engine.asks import Ask
    from durableq.engine.replay import Replay

FOREIGN_S = 10.0
"""For a socket, asyncio.sleep and the like. Long enough for an HTTP call, far below the wait that a suspension is for."""

SIBLINGS_S = 1.0
"""For asyncio's locks, queues and events. A sibling that waits durably itself will not free them, another run may."""

PARKED_S = 10.0
"""For a step that was abandoned in an earlier turn: at least this long, and twice as long as it took the first time."""


class Lingering:
    """Decides whether a run at rest may be suspended."""

    __slots__ = ("_parked_since", "_replay", "_since", "_timer", "_touch")

    def __init__(self, replay: Replay, touch: Callable[[], None]) -> None:
        self._replay = replay
        self._touch = touch
        self._since: float | None = None
        self._parked_since: float | None = None
        self._timer: TimerHandle | None = None

    def reset(self) -> None:
        """The run went on."""
        self._since = self._parked_since = None

    def stop(self) -> None:
        """The replay is over."""
        if self._timer is not None:
            self._timer.cancel()

    def over(self) -> bool:
        """Whether the run may be suspended now: nobody awaits anything but steps, or somebody has for too long."""
        held = [(awaits(branch), branch) for branch in self._replay.living_branches()]
        worst = max((how for how, _ in held), default=Awaits.STEPS)
        if worst is Awaits.STEPS:
            return True
        now = self._replay.loop.time()
        if self._since is None:
            self._since = now
        for how, branch in held:
            if how is Awaits.FOREIGN:
                self._replay.reports.foreign(branch, FOREIGN_S)
        until = self._since + (FOREIGN_S if worst is Awaits.FOREIGN else SIBLINGS_S)
        if now >= until:
            return True
        self._call_at(until)
        return False

    def parked(self, asks: list[Ask]) -> None:
        """Nothing can go on but steps that were abandoned once: wait for their cancellation, or give them up."""
        now = self._replay.loop.time()
        if self._parked_since is None:
            self._parked_since = now
        for ask in asks:
            until = self._parked_since + max(PARKED_S, ask.patience_ms / 1000)
            if now >= until:
                self._give_up(ask)
            else:
                self._call_at(until)

    def _give_up(self, ask: Ask) -> None:
        """Fail a step that is neither cancelled nor executed, or the run would be in hand for ever."""
        if ask.future is not None and not ask.future.done():
            self._replay.reports.gave_up(ask)
            message = "it was cancelled by the function's code in an earlier turn, and in this one it is not"
            ask.future.set_exception(StepError("StepAbandoned", message, step=ask.step_id))

    def _call_at(self, when: float) -> None:
        self.stop()
        self._timer = self._replay.loop.call_at(when, self._touch, context=self._replay.outside)
