"""What one evaluation carries with it: the scope, the local variables, the time, and how much work is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from durableq.model.expressions.limits import ITERATIONS_MAX, WORK_MAX
from durableq.words.clock import SystemClock


class BudgetExceeded(Exception):
    """An evaluation cost more than it may, so it is abandoned. The text says which limit and names no payload."""


class Frame:
    """The state of one evaluation. Made anew each time, so a compiled expression can serve many threads."""

    # Class attributes until first written: most evaluations never do, and making a frame is a good part of their cost.
    now_ms: int | None = None
    work: int = WORK_MAX
    iterations: int = ITERATIONS_MAX
    _locals: dict[int, object] | None = None

    def __init__(self, scope: Mapping[str, object], now_ms: int | None = None) -> None:
        self.scope = scope
        if now_ms is not None:
            self.now_ms = now_ms

    @property
    def locals(self) -> dict[int, object]:
        """The values of macro variables, by slot."""
        if self._locals is None:
            self._locals = {}
        return self._locals

    def charge(self, units: int) -> None:
        """Take units of work off the budget, before doing the work.

        Raises:
            BudgetExceeded: there are not so many left.
        """
        self.work -= units
        if self.work < 0:
            raise BudgetExceeded(f"it takes more than {WORK_MAX:,} units of work")

    def count_iteration(self, units: int) -> None:
        """Take one round of a macro off the budget, whose body costs so many units.

        Raises:
            BudgetExceeded: that was the last round allowed, or the work is used up.
        """
        self.iterations -= 1
        if self.iterations < 0:
            raise BudgetExceeded(f"its macros take more than {ITERATIONS_MAX:,} iterations")
        self.charge(units)

    def time_ms(self) -> int:
        """The time in unix ms: the caller's, else the host's, read once so that every `now()` agrees."""
        if self.now_ms is None:
            self.now_ms = SystemClock().wall_ms()
        return self.now_ms


Closure = Callable[[Frame], object]
"""A compiled node: takes the frame, gives the value."""
