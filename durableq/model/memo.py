"""Memos: what is recorded of a run's steps, as replay reads it.

A run's steps are one map, `{step key: Memo}`; the key is `ids.step_key(step id, occurrence)`. A memo that is a *result* took
the run's next number when it was written and is never overwritten. A memo with number 0 is a wait that is not over.

When adding a kind: a letter here that no release has used, what the store does with it (store/lua), what the engine tells
user code when it meets one (engine/), and a fixture of it in the stored schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MemoKind(StrEnum):
    """What a memo says. One letter each, as stored."""

    DATA = "d"
    """The value that a step's body returned; blob: the value, encoded (b"" stands for None)."""

    ERROR = "e"
    """The step's attempts are used up; blob: the encoded Failure."""

    SLEEPING = "w"
    """A sleep that has not ended; blob: encoded {"op", "id": step id, "due": ms}."""

    WOKEN = "s"
    """That sleep is over; blob: as when it began."""

    RETRYING = "r"
    """An attempt failed and the next one waits; blob: encoded {"id", "attempt": the next one, "due": ms, "failure": {...}}.

    Its number is 0, or, once a scheduler has ended the delay, the number that this took: then the attempt may start.
    """

    AWAITING = "v"
    """A wait for an event that is not over; blob: encoded {"op", "id", "due", "event", "if"}."""

    SIGNALLING = "g"
    """A wait for a signal that is not over; blob: encoded {"op", "id", "due", "signal"}."""

    INVOKING = "i"
    """A wait for a child run that is not over; blob: encoded {"op", "id", "due", "function", "run"}."""

    MATCHED = "m"
    """The event that a wait was for; blob: its entry in the stream, a space, the encoded event."""

    TIMED_OUT = "z"
    """The time of a wait for an event, a signal or a child is over; blob: as when it began.

    What a signal or a child brings is DATA or ERROR.
    """

    ABANDONED = "a"
    """User code cancelled the step before it had a result (a TaskGroup's sibling, asyncio.timeout).

    blob: encoded {"id", "after": ms}.

    Asked for again in a replay, such a step stays pending until user code cancels it again, as it did the first time;
    `after` is how long it had been asked for until then.
    """


RESULTS = frozenset({MemoKind.DATA, MemoKind.ERROR, MemoKind.WOKEN, MemoKind.MATCHED, MemoKind.TIMED_OUT})
"""The kinds that answer a step's call."""


@dataclass(slots=True)
class Memo:
    """One recorded fact about a step."""

    number: int
    """The order of writing within the run, from 1; 0 while a wait is not over. The store's."""
    at_ms: int
    """When it was written, by the store's clock."""
    kind: MemoKind
    blob: bytes
    """The payload, opaque to the store."""
