"""Reading the record: what the function has been told so far in this replay, and what follows from it.

The time (`ctx.now()`), whether lines are said (`ctx.logger`) and whether the code asks in the order in which it once did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durableq.model.memo import Memo

if TYPE_CHECKING:
    from durableq.engine.reports import Reports


class Reading:
    """How far a replay has read the run's record."""

    __slots__ = ("_last", "_reports", "_unanswered", "now_ms")

    def __init__(self, recorded: int, created_at_ms: int, reports: Reports) -> None:
        self._unanswered = recorded
        self._last = 0
        self._reports = reports
        self.now_ms = created_at_ms
        """When the last memo told was recorded, or the run created. Never goes back."""

    def answered(self, memo: Memo) -> None:
        """User code is told this result. Numbers go up, unless steps were reordered, or one was put before it."""
        self._unanswered -= 1
        if memo.number < self._last:
            self._reports.reordered()
        else:
            self._last = memo.number
        if memo.at_ms > self.now_ms:
            self.now_ms = memo.at_ms

    def passed(self) -> None:
        """User code has asked for a step that was abandoned: there is nothing to tell."""
        self._unanswered -= 1

    def went_live(self) -> None:
        """A step without a result was asked for: what follows has not happened before."""
        self._unanswered = 0

    def is_live(self) -> bool:
        """Whether what the function does now is new, not a repetition."""
        return self._unanswered <= 0
