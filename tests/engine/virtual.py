"""A loop whose time jumps: when nothing is ready, it is at once as late as the next timer says. Threads are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START_S = 1_000_000.0  # not today: a float that large could not count the microseconds
_THREADS_WAIT_S = 0.001
_STUCK_S = 10.0
_TURN_S = 1e-7  # a turn takes time too, or code that polls without pause would wait for ever


class VirtualLoop(asyncio.SelectorEventLoop):
    """`held` says whether a thread is at work, so that time must stand still until it has spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = START_S
        self.held: Callable[[], bool] = lambda: False
        selector: Any = vars(self)["_selector"]
        self._real_select: Callable[[float], Any] = selector.select
        selector.select = self._select

    def time(self) -> float:
        return self.now_s

    def _select(self, timeout: float | None = None) -> Any:
        events = self._real_select(0)
        waited_s = 0.0
        while not events and timeout != 0 and (self.held() or timeout is None):
            if waited_s > _STUCK_S:
                raise TimeoutError("the test is stuck: nothing is scheduled, and no thread speaks")
            events = self._real_select(_THREADS_WAIT_S)
            waited_s += _THREADS_WAIT_S
        self.now_s += _TURN_S if events or not timeout else timeout
        return events


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run this to its end on a loop of virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
