"""Flights: the calls to the port that are under way for one run.

Every call is made outside the run's context, so that what the port starts for itself is never taken for a branch. A port
that fails has lost the run: the replay is told, and whoever waits stays pending until the turn has ended.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVar

from durableq.engine.branch import Pending

T = TypeVar("T")
R = TypeVar("R")


class Flights:
    """Counts what is under way and passes on the replies."""

    __slots__ = ("_calls", "_landed", "_lost", "count", "outside")

    def __init__(self, outside: Context, lost: Callable[[str], None], landed: Callable[[], None]) -> None:
        self.count = 0
        self.outside = outside
        """Where callbacks of ours run."""
        self._calls = outside.copy()  # its own: a callback that makes a call is inside the other one
        self._lost = lost
        self._landed = landed

    def call(self, call: Callable[..., R], *args: Any) -> R:
        """Call the port outside the run's context."""
        return self._calls.run(call, *args)

    def send(self, landed: Callable[[T], None], call: Callable[..., Future[T]], *args: Any) -> None:
        """Make the call; `landed` gets its reply, on the loop."""

        def reply(future: Future[T]) -> None:
            self.count -= 1
            if future.cancelled():
                self._lost("the port cancelled a call")
            elif (error := future.exception()) is not None:
                self._lost(f"{type(error).__name__}: {error}")
            else:
                landed(future.result())
            self._landed()

        self.count += 1
        self.call(call, *args).add_done_callback(reply, context=self.outside)

    async def ask(self, landed: Callable[[T], R], call: Callable[..., Future[T]], *args: Any) -> R:
        """Make the call and wait for what `landed` makes of its reply: for the root while it is alone.

        If user code cancels the one who waits, the reply is taken in all the same: a number that nobody learned would keep
        the run from ever being suspended.
        """
        waiter = Pending()

        def tell(reply: T) -> None:
            result = landed(reply)
            if not waiter.done():
                waiter.set_result(result)

        self.send(tell, call, *args)
        answer: R = await waiter
        return answer
