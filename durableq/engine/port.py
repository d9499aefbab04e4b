"""The port: all that the engine asks of the world. Services implement it over the store; tests over a dict.

Authority: the store numbers and times every result. The engine believes nothing until the store has confirmed it.

Invariants that an implementation keeps:
 1. A future resolves once the store has confirmed the write, never before.
 2. Calls of one run are applied in the order in which they were made.
 3. `record`, `wait` and `fire` name `execution.seen` when they are sent. The reply's `news` holds every memo with a number
    above that, except answers to this run's own calls that are still on their way; those may come sooner or later.
 4. What arrives from outside (a wait that a scheduler ended) goes to `execution.deliver`, on the loop, in order of number.
 5. A port retries for as long as Redis is away. It raises, or cancels the future, only when the run is lost to this
    holder; the turn then ends as Abandoned.

`record`, `wait` and `fire` return futures, so that all calls made in one turn of the loop can be committed together; several
may be under way for one run. The engine may cancel a future it no longer needs: the write goes on, the reply is dropped.
They are called outside the run's context, so what they start (a flush, a timer) never counts as a task of the run.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol

from durableq.model.memo import Memo, MemoKind

News = Sequence[tuple[str, Memo]]
"""Memos that are newer than what the caller named: (step key, memo)."""


class StepNote(NamedTuple):
    """What history shows of one attempt or wait. It feeds screens, never decisions."""

    op: str
    """`run`, `sleep`, `sleep_until` or `send_event`."""
    step_id: str
    attempt: int
    asked_at_ms: int
    """When user code asked for the step."""
    started_at_ms: int
    """When its body began."""
    ended_at_ms: int
    """When its body ended, or the wait began."""
    error: str
    """The error's class name, or "" for none."""


class Recorded(NamedTuple):
    """The store's confirmation of a result."""

    number: int
    at_ms: int
    news: News


class NotYet(NamedTuple):
    """The store's clock says that a wait is not due yet."""

    remaining_ms: int


class NewWait(NamedTuple):
    """A durable wait that begins with the suspension."""

    key: str
    kind: MemoKind
    """SLEEPING or RETRYING."""
    blob: bytes
    due_at_ms: int
    note: StepNote


class Port(Protocol):
    """The world, as one run in hand sees it."""

    def record(self, key: str, kind: MemoKind, blob: bytes, note: StepNote) -> Future[Recorded]:
        """Record a result: DATA or ERROR, ABANDONED, or WOKEN for a sleep that was over when it was reached.

        The first write of a key wins, except that a result replaces SLEEPING and RETRYING and ends that wait's timer.
        """
        ...

    def wait(self, key: str, kind: MemoKind, blob: bytes, due_at_ms: int, note: StepNote) -> Future[int]:
        """Begin a durable wait (SLEEPING or RETRYING) while the run stays in hand. Resolves to the run's last number.

        A RETRYING of the same key replaces the one before, timer included.
        """
        ...

    def fire(self, key: str) -> Future[Recorded | NotYet]:
        """End a sleep that is due by the holder's clock: its memo becomes WOKEN. If somebody else just did: that number."""
        ...

    def suspend(self, seen: int, waits: Sequence[NewWait]) -> Awaitable[News | None]:
        """End the turn, beginning `waits`. None: done, and the run is no longer ours.

        Otherwise there is news above `seen`: nothing was suspended, the waits did not begin, go on.
        """
        ...

    def now_ms(self) -> int:
        """The server's time as estimated here: never ahead of it."""
        ...
