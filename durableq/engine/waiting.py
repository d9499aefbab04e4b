"""Waiting for something from outside the run: an event, a signal, or what a child comes to.

    recorded?      tell it when it is its turn
    pending?       wait on; the store has it
    else           begin, by a call of the port's own -> wait -> tell

The wait is begun with what the loop's turn that reaches it has to write, and the run is only suspended once the store has
confirmed that: what comes between would be missed otherwise. Whoever comes first (the event, the time, user code that cancels
the step) ends it, in the store; the others are told what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from durableq.engine.admission import check_place, refuse_late
from durableq.engine.asks import Ask
from durableq.engine.lookup import look_up
from durableq.engine.phase import LEFT
from durableq.engine.port import NewWait, OutsideWait, StepNote
from durableq.engine.records import due_at_ms_of
from durableq.model.memo import RESULTS, Memo, MemoKind
from durableq.words.errors import ConfigError
from durableq.words.periods import Duration, to_ms

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

Begin = Callable[[StepNote], OutsideWait]


async def wait_outside(replay: Replay, key: str, step_id: str, op: str, begin: Begin) -> Memo:
    """The memo that answers the wait. `begin` gives what to begin with, where it is new to the run."""
    check_place(replay, step_id)
    if replay.phase in LEFT:
        await refuse_late(replay, step_id)
    ask = Ask(key, step_id, op, replay.port.now_ms())
    memo = look_up(replay, ask)
    conductor = replay.conductor
    try:
        if memo is None:
            memo = await conductor.waited(ask, begin(_note(ask)), begun=False)
        elif memo.kind in RESULTS:
            await conductor.told(ask, memo)
        elif memo.kind is MemoKind.ABANDONED:
            await conductor.parked(ask, memo)
        else:
            pending = NewWait(key, memo.kind, memo.blob, due_at_ms_of(memo.blob), _note(ask))
            memo = await conductor.waited(ask, pending, begun=True)
    except BaseException:
        conductor.withdrawn(ask)
        raise
    return memo


def timeout_ms_of(what: str, timeout: Duration) -> int:
    """The longest that a wait may last. Raises ConfigError, which begins with `what`, for none and for a bad one."""
    if timeout is None:
        raise ConfigError(f"{what} timeout is required: how long to wait at most, such as '3d'; up to 366 days")
    return to_ms(f"{what} timeout", timeout)


def _note(ask: Ask) -> StepNote:
    now_ms = ask.asked_at_ms
    return StepNote(ask.op, ask.step_id, 0, now_ms, now_ms, now_ms, "")
