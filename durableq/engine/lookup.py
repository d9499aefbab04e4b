"""Looking a step up in the record, when user code awaits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durableq.model.memo import Memo, MemoKind
from durableq.words.errors import ConfigError, LimitExceeded

if TYPE_CHECKING:
    from durableq.engine.asks import Ask
    from durableq.engine.replay import Replay

_SLEEPS = ("sleep", "sleep_until")
_OF_SLEEPS = (MemoKind.SLEEPING, MemoKind.WOKEN)


def look_up(replay: Replay, ask: Ask) -> Memo | None:
    """The step's memo, or None for a step that is new to the run.

    Raises:
        LimitExceeded: the run has as many steps as it may have.
        ConfigError: the step was recorded as another kind of step; its id was reused in a change of the code.
    """
    memo = replay.memos.by_key.get(ask.key)
    if memo is None:
        replay.reading.went_live()
        replay.steps += 1
        try:
            replay.function.limits.check_steps(replay.steps)
        except LimitExceeded as error:
            raise LimitExceeded(f"step {ask.step_id!r}: {error}") from None
    elif memo.kind is MemoKind.ABANDONED:
        replay.reading.passed()
    elif (memo.kind in _OF_SLEEPS) is not (ask.op in _SLEEPS):
        was = "a sleep" if memo.kind in _OF_SLEEPS else "a step with a body"
        raise ConfigError(
            f"step {ask.step_id!r} is a {ask.op} now and was recorded as {was}: give the new step an id of its own"
        )
    elif memo.kind in (MemoKind.SLEEPING, MemoKind.RETRYING):
        replay.reading.went_live()
    return memo
