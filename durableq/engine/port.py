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
    """`run`, `sleep`, `sleep_until`, `send_event`, `wait_for_event`, `wait_for_signal`, `send_signal` or `invoke`."""
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


class EventWait(NamedTuple):
    """A wait for an event that begins now. The port looks back first, from `behind` on."""

    key: str
    blob: bytes
    """What the memo says of it (records.py); opaque to the port."""
    due_at_ms: int
    note: StepNote
    event_name: str
    if_: str | None
    """A condition over `event` (the run's own) and `async` (the arriving one)."""
    behind: str
    """The stream entry that the run's last wait for this name had; "" for none: the one that started the run counts."""

    @property
    def kind(self) -> MemoKind:
        """What the store has of it while it lasts."""
        return MemoKind.AWAITING


class SignalWait(NamedTuple):
    """A wait for a signal that begins now."""

    key: str
    blob: bytes
    due_at_ms: int
    note: StepNote
    signal: str
    replace: bool
    """Whether to take the signal over from a wait that has it; otherwise this wait has an ERROR, SignalTaken, for a result."""

    @property
    def kind(self) -> MemoKind:
        """What the store has of it while it lasts."""
        return MemoKind.SIGNALLING


class Invocation(NamedTuple):
    """A child run to create, and the wait for what it comes to."""

    key: str
    blob: bytes
    due_at_ms: int
    note: StepNote
    function: str
    """Its full id, `app/function`."""
    child: str
    """The child's run id."""
    given: bytes
    """The encoded event that the child is called with."""

    @property
    def kind(self) -> MemoKind:
        """What the store has of it while it lasts."""
        return MemoKind.INVOKING


OutsideWait = EventWait | SignalWait | Invocation
"""A wait that something from outside the run answers. It begins with a call of its own, never with the suspension."""

AnyWait = NewWait | OutsideWait


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

    def await_event(self, wait: EventWait) -> Future[int]:
        """Begin to wait for an event while the run stays in hand: a memo AWAITING with this blob, and its timer.

        Resolves to the run's last number once the wait has begun, or is over already: an event that came before (MATCHED)
        reaches `execution.deliver` first. Later results come from outside.
        """
        ...

    def await_signal(self, wait: SignalWait) -> Future[int]:
        """Begin to wait for a signal (SIGNALLING). As `await_event`; a taken signal's ERROR is delivered first."""
        ...

    def invoke(self, invocation: Invocation) -> Future[int]:
        """Create the child and begin to wait for it (INVOKING), in one act. As `await_event`; its refusal is delivered
        first. Waits for as long as Redis has no room for new runs.
        """
        ...

    def fire(self, key: str) -> Future[Recorded | NotYet]:
        """End a wait that is due by the holder's clock: a sleep becomes WOKEN, a wait for something TIMED_OUT.

        Recorded: the wait is over since that number. If somebody else has ended it otherwise just before, its memo (MATCHED,
        DATA, ERROR) is among the news under that number, or was delivered before.
        """
        ...

    def suspend(self, seen: int, waits: Sequence[NewWait]) -> Awaitable[News | None]:
        """End the turn, beginning `waits`. None: done, and the run is no longer ours.

        Otherwise there is news above `seen`: nothing was suspended, the waits did not begin, go on.
        """
        ...

    def now_ms(self) -> int:
        """The server's time as estimated here: never ahead of it."""
        ...


def begin(port: Port, wait: AnyWait) -> Future[int]:
    """Begin this wait, of whichever sort, by a call of its own."""
    match wait:
        case NewWait():
            return port.wait(*wait)
        case EventWait():
            return port.await_event(wait)
        case SignalWait():
            return port.await_signal(wait)
        case Invocation():
            return port.invoke(wait)
