"""Settling: waiting until nothing of a run moves, by counting turns of the loop.

Results are told to user code one at a time, and the next one only when everything that the last one set off has come to
rest. A *move* is a branch being resumed outside a step's body. Between two moves lie turns in which only callbacks of
asyncio run, and the longest such chain says how many quiet turns mean rest:

    a result is told, or one branch wakes another (event, queue, future)     1 turn:  its wake-up
    a branch ends, and gather, wait, as_completed, TaskGroup or shield       2 turns: their callback, the wake-up
    each further gather or shield inside that one                            1 turn more

Our own callback runs once in each turn, at any place among the others, so it may come just before the one that matters:
one more. After a mere move 1 + 1, and one for a future that was gathered: 3. After an end 2 + 1, and three for
nesting: 6. A turn of an idle loop costs about 5 us, and other runs share it.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

QUIET_AFTER_MOVE = 3
QUIET_AFTER_END = 6

TURNS_MAX = 1_000
"""A branch that polls without pause (`while …: await asyncio.sleep(0)`) never rests. After so many turns, 5 ms and more, it is
taken to have done so, or the rest of the run would stand still."""

THREADS_S = 1.0
"""How long the code between two steps of a thread may hold up the others. What such code does with other branches' results
has no order of its own, so going on costs nothing but that."""


class Settler:
    """Calls `settled` when the run has come to rest after `touch`."""

    __slots__ = (
        "_ends",
        "_loop",
        "_moves",
        "_needed",
        "_outside",
        "_patience",
        "_quiet",
        "_replay",
        "_settled",
        "_turns",
        "_watching",
    )

    def __init__(self, replay: Replay, settled: Callable[[], None]) -> None:
        self._replay = replay
        self._loop = replay.loop
        self._outside = replay.outside
        self._settled = settled
        self._watching = False
        self._moves = self._ends = -1
        self._needed = self._quiet = self._turns = 0
        self._patience: TimerHandle | None = None

    def touch(self) -> None:
        """Something changed: settle, then decide anew."""
        if not self._watching:
            self._watching = True
            self._needed = QUIET_AFTER_MOVE
            self._quiet = self._turns = 0
            self._loop.call_soon(self._turn, context=self._outside)

    def stop(self) -> None:
        """Never call again."""
        self._watching = True
        self._settled = _nothing
        if self._patience is not None:
            self._patience.cancel()

    def _turn(self) -> None:
        replay = self._replay
        self._turns += 1
        if replay.moves != self._moves:
            if replay.ends != self._ends:
                self._needed = QUIET_AFTER_END
            self._moves, self._ends = replay.moves, replay.ends
            self._quiet = 0
        else:
            self._quiet += 1
        if self._quiet < self._needed and self._turns < TURNS_MAX:
            self._loop.call_soon(self._turn, context=self._outside)
        elif replay.busy_threads and self._patience is None:
            self._watching = False  # a thread touches us when it asks or ends
            self._patience = self._loop.call_later(THREADS_S, self._rest, context=self._outside)
        elif not replay.busy_threads or self._patience_over():
            self._rest()
        else:
            self._watching = False

    def _patience_over(self) -> bool:
        return self._patience is not None and self._loop.time() >= self._patience.when()

    def _rest(self) -> None:
        if not self._replay.busy_threads and self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._watching = False
        self._settled()


def _nothing() -> None:
    pass
