"""Looking a step up in the record, when user code awaits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durableq.engine.records import op_of
from durableq.model.memo import RESULTS, Memo, MemoKind
from durableq.words.errors import ConfigError, LimitExceeded

if TYPE_CHECKING:
    from durableq.engine.asks import Ask
    from durableq.engine.replay import Replay

_OF_SLEEPS = frozenset({MemoKind.SLEEPING, MemoKind.WOKEN})
_OF_BODIES = frozenset({MemoKind.DATA, MemoKind.ERROR, MemoKind.RETRYING})
_OF_EVENTS = frozenset({MemoKind.AWAITING, MemoKind.MATCHED, MemoKind.TIMED_OUT})
_OF_SIGNALS = frozenset({MemoKind.SIGNALLING, MemoKind.DATA, MemoKind.ERROR, MemoKind.TIMED_OUT})
_OF_CHILDREN = frozenset({MemoKind.INVOKING, MemoKind.DATA, MemoKind.ERROR, MemoKind.TIMED_OUT})

_KINDS = {
    "sleep": _OF_SLEEPS,
    "sleep_until": _OF_SLEEPS,
    "wait_for_event": _OF_EVENTS,
    "wait_for_signal": _OF_SIGNALS,
    "invoke": _OF_CHILDREN,
}
"""What a step of this verb may have for a memo. Those that are not here have a body."""

_WAS = {
    MemoKind.SLEEPING: "a sleep",
    MemoKind.WOKEN: "a sleep",
    MemoKind.AWAITING: "a wait_for_event",
    MemoKind.MATCHED: "a wait_for_event",
    MemoKind.SIGNALLING: "a wait_for_signal",
    MemoKind.INVOKING: "an invoke",
}


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
    elif memo.kind not in _KINDS.get(ask.op, _OF_BODIES) or (
        memo.kind is MemoKind.TIMED_OUT and op_of(memo.blob) != ask.op
    ):
        raise ConfigError(
            f"step {ask.step_id!r} is {_with_article(ask.op)} now and was recorded as {_was(memo)}: "
            "give the new step an id of its own"
        )
    elif memo.kind not in RESULTS:
        replay.reading.went_live()
    return memo


def _was(memo: Memo) -> str:
    if memo.kind is MemoKind.TIMED_OUT:
        return _with_article(op_of(memo.blob))
    return _WAS.get(memo.kind, "a step with a body")


def _with_article(op: str) -> str:
    return f"an {op}" if op == "invoke" else f"a {op}"
