"""Performing a sleep: recorded as a wait with the time of its end, woken by whoever's clock gets there first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from durableq.engine.admission import check_place, refuse_late
from durableq.engine.asks import Ask
from durableq.engine.lookup import look_up
from durableq.engine.phase import LEFT
from durableq.engine.port import NewWait, StepNote
from durableq.engine.records import Sleep
from durableq.model.memo import Memo, MemoKind

if TYPE_CHECKING:
    from durableq.engine.replay import Replay


async def sleep(replay: Replay, key: str, step_id: str, op: str, due_at_ms: Callable[[int], int]) -> None:
    """Perform the sleep. `due_at_ms` gives its end from now, both in ms; the first answer is recorded and stays."""
    check_place(replay, step_id)
    if replay.phase in LEFT:
        await refuse_late(replay, step_id)
    now_ms = replay.port.now_ms()
    ask = Ask(key, step_id, op, now_ms)
    memo = look_up(replay, ask)
    try:
        if memo is None:
            await _begin(replay, ask, Sleep(op, step_id, due_at_ms(now_ms)))
        elif memo.kind is MemoKind.WOKEN:
            await replay.conductor.told(ask, memo)
        elif memo.kind is MemoKind.ABANDONED:
            await replay.conductor.parked(ask, memo)
        else:
            await _resume(replay, ask, memo)
    except BaseException:
        replay.conductor.withdrawn(ask)
        raise


async def _begin(replay: Replay, ask: Ask, wanted: Sleep) -> None:
    blob, note = wanted.encode(), _note(ask)
    if wanted.due_at_ms <= ask.asked_at_ms:
        await replay.conductor.recorded(ask, MemoKind.WOKEN, blob, note)  # over already: no wait, one write
    else:
        wait = NewWait(ask.key, MemoKind.SLEEPING, blob, wanted.due_at_ms, note)
        await replay.conductor.waited(ask, wait, begun=False)


async def _resume(replay: Replay, ask: Ask, memo: Memo) -> None:
    wait = NewWait(ask.key, memo.kind, memo.blob, Sleep.decode(memo.blob).due_at_ms, _note(ask))
    await replay.conductor.waited(ask, wait, begun=True)


def _note(ask: Ask) -> StepNote:
    now_ms = ask.asked_at_ms
    return StepNote(ask.op, ask.step_id, 0, now_ms, now_ms, now_ms, "")
