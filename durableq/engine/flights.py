"""Flights: the calls to the port that are under way for one run.

Every call is made outside the run's context, so that what the port starts for itself is never taken for a branch. A port
that fails has lost the run: the replay is told, and whoever waits stays pending until the turn has ended.
"""

from __future__ import annotations

from asyncio import CancelledError, Future
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

T = TypeVar("T")
R = TypeVar("R")


class Flights:
    """Counts what is under way and passes on the replies."""

    __slots__ = ("_calls", "_outside", "_replay", "count")

    def __init__(self, replay: Replay) -> None:
        self.count = 0
        self._replay = replay
        self._outside = replay.outside
        self._calls = replay.outside.copy()  # its own: a callback that makes a call is inside the other one

    def call(self, call: Callable[..., R], *args: Any) -> R:
        """Call the port outside the run's context."""
        return self._calls.run(call, *args)

    def send(self, landed: Callable[[T], object], call: Callable[..., Future[T]], *args: Any) -> None:
        """Make the call; `landed` gets its reply, on the loop."""
        self.count += 1
        self._calls.run(call, *args).add_done_callback(partial(self._reply, landed), context=self._outside)

    def _reply(self, landed: Callable[[T], object], future: Future[T]) -> None:
        self.count -= 1
        try:
            reply = future.result()
        except CancelledError:
            self._replay.lost("the port cancelled a call")
        except BaseException as error:
            self._replay.lost(f"{type(error).__name__}: {error}", type(error))
        else:
            landed(reply)
        self._replay.landed()
