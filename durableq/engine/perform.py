"""Performing a step that has a body: its life from being awaited to being answered.

    recorded?      tell it when it is its turn
    else           body -> record -> tell
    body failed    delay -> body … until it is recorded, or attempts are used up -> record the error -> tell

What user code is told is always what was recorded: the decoded value, or a StepError rebuilt from the failure, also the
first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durableq.engine.admission import check_place, refuse_late
from durableq.engine.asks import Ask
from durableq.engine.attempt import Returned, StepCall, attempt
from durableq.engine.lookup import look_up
from durableq.engine.options import StepOptions
from durableq.engine.phase import LEFT, RUNNING
from durableq.engine.port import NewWait, StepNote
from durableq.engine.records import Delay
from durableq.engine.verdict import retry_of_step
from durableq.model.failure import Failure
from durableq.model.memo import Memo, MemoKind
from durableq.model.retry import Retry
from durableq.words.errors import StepTimeout
from durableq.words.typed import decode_typed, result_type

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

_DEFERRED_MS = 5_000
"""How much later a retry is tried while a thread of the attempt before still runs here. Another worker may take it."""


def value_of(memo: Memo, fn: Any, options: StepOptions) -> Any:
    """The value in a DATA memo, as the type that `fn` or the options name."""
    return decode_typed(memo.blob, result_type(fn, options.output_type))


async def perform(replay: Replay, call: StepCall) -> Any:
    """Perform the step. Returns its value, or raises its StepError."""
    check_place(replay, call.step_id)
    if replay.phase in LEFT:
        await refuse_late(replay, call.step_id)
    conductor = replay.conductor
    ask = Ask(call.key, call.step_id, call.op, replay.port.now_ms())
    memo = look_up(replay, ask)
    fresh: Returned | None = None
    try:
        if memo is None:
            if replay.alone:
                conductor.grant(ask, ask.asked_at_ms)
            else:
                await conductor.permitted(ask)
        elif memo.kind is MemoKind.RETRYING:
            await _rest_of_delay(replay, ask, memo)
            memo = None
        elif memo.kind is MemoKind.ABANDONED:
            await conductor.parked(ask, memo)
        else:
            await conductor.told(ask, memo)
        while memo is None:
            if replay.environment.abandoned.holds(replay.run.run_id, ask.key):
                conductor.body_ended(ask)
                await conductor.delayed(ask, _deferral(replay, ask), begun=False)
                continue
            result = await attempt(replay, ask, call)
            conductor.body_ended(ask)
            if replay.phase is not RUNNING and replay.phase in LEFT:
                await refuse_late(replay, call.step_id)  # the body swallowed its cancellation, and has ended after all
            if isinstance(result, Returned):
                fresh = result
                memo = await conductor.recorded(ask, MemoKind.DATA, result.blob, _note(replay, ask, ""))
            else:
                failed = _failed(replay, ask, call, result.error)
                del result  # the error's traceback holds this frame, from Python 3.12 on
                memo = await failed
    except BaseException:
        conductor.withdrawn(ask)
        raise
    if memo.kind is MemoKind.ERROR:
        raise Failure.decode(memo.blob).to_step_error(call.step_id, ask.key)
    return value_of(memo, call.fn, call.options) if fresh is None else fresh.value


async def _rest_of_delay(replay: Replay, ask: Ask, memo: Memo) -> None:
    """Wait out the delay that an earlier turn began, until the next attempt may start."""
    delay = Delay.decode(memo.blob)
    ask.attempt = delay.attempt
    # With a number a scheduler has ended the delay, by the store's own clock.
    due_at_ms = 0 if memo.number else delay.due_at_ms
    wait = NewWait(ask.key, memo.kind, memo.blob, due_at_ms, _note(replay, ask, ""))
    await replay.conductor.delayed(ask, wait, begun=True)


async def _failed(replay: Replay, ask: Ask, call: StepCall, error: BaseException) -> Memo | None:
    """An attempt has failed: wait out the delay before the next one, which may then start. Without one, record the error."""
    failure = Failure.of(error)
    decision = retry_of_step(replay, call.options, error, ask.attempt)
    replay.reports.step_failed(ask, failure, decision)
    note = _note(replay, ask, failure.name)
    if not isinstance(decision, Retry):
        return await replay.conductor.recorded(ask, MemoKind.ERROR, failure.encode(), note)
    ask.attempt += 1
    delay = Delay(ask.step_id, ask.attempt, note.ended_at_ms + decision.delay_ms, failure)
    wait = NewWait(ask.key, MemoKind.RETRYING, delay.encode(), delay.due_at_ms, note)
    await replay.conductor.delayed(ask, wait, begun=False)
    return None


def _deferral(replay: Replay, ask: Ask) -> NewWait:
    """The same attempt, later: a thread that was given up on still executes this step here."""
    known = replay.memos.by_key.get(ask.key)
    if known is not None and known.kind is MemoKind.RETRYING:
        failure = Delay.decode(known.blob).failure
    else:
        failure = Failure.of(StepTimeout(f"an earlier attempt of step {ask.step_id!r} still runs in a thread"))
    delay = Delay(ask.step_id, ask.attempt, replay.port.now_ms() + _DEFERRED_MS, failure)
    return NewWait(ask.key, MemoKind.RETRYING, delay.encode(), delay.due_at_ms, _note(replay, ask, failure.name))


def _note(replay: Replay, ask: Ask, error: str) -> StepNote:
    now_ms = replay.port.now_ms()
    return StepNote(ask.op, ask.step_id, ask.attempt, ask.asked_at_ms, ask.started_at_ms or now_ms, now_ms, error)
