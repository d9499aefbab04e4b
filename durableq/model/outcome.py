"""Outcomes: what a turn of a run decided. Values without side effects; services write them down.

When adding one: the class here, the transition that performs it (model/run.py), the committer's branch for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from durableq.model.failure import Failure


@dataclass(frozen=True, slots=True)
class Completed:
    """The function returned. `blob` is its encoded result, b"" for None."""

    blob: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The run is over: an uncaught StepError, NonRetriableError, no attempts left, a limit, a result that cannot be stored."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """Code outside steps raised and has attempts left: call the function again, as attempt `attempt`, after `delay_ms`."""

    failure: Failure
    attempt: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Suspended:
    """Nothing could go on without a wake-up. The store has it already and the run is no longer in hand."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The run was taken from its holder. Nothing of it may be recorded any more. `reason` is for the log."""

    reason: str = ""
    cause: type[BaseException] | None = None
    """What a call to the port raised, if that is how it was learned. Its class alone: an error holds on to its frames."""


Outcome = Completed | Failed | AttemptFailed | Suspended | Abandoned
