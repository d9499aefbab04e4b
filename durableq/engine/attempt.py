"""One attempt at a step's body: its scope, its result as it will come out of the record, or how it failed.

Whatever a body raises, SystemExit included, is a failure of that attempt; only a cancellation from outside goes through.
"""

from __future__ import annotations

from asyncio import CancelledError, current_task
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from durableq.engine.asks import Ask
from durableq.engine.bodies import Body, execute, is_async
from durableq.engine.options import StepOptions
from durableq.engine.scope import HERE, Scope
from durableq.words.typed import result_type, roundtrip_typed

if TYPE_CHECKING:
    from durableq.engine.replay import Replay


class StepCall(NamedTuple):
    """One call of a step that has a body."""

    key: str
    step_id: str
    op: str
    fn: Callable[..., Any]
    """The user's callable: its annotation says how the result is stored, its kind where it is executed."""
    body: Body
    """The call of it."""
    options: StepOptions


class Returned(NamedTuple):
    """The body returned. `value` is what a replay will give."""

    blob: bytes
    value: Any


class Raised(NamedTuple):
    """The body, or storing what it returned, failed."""

    error: BaseException


async def attempt(replay: Replay, ask: Ask, call: StepCall) -> Returned | Raised:
    """Execute the body once. Raises only if the task is cancelled from outside."""
    branch = replay.current
    task = branch.task if branch is not None and branch.task is not None else current_task()
    cancellings = task.cancelling() if task is not None else 0
    if not ask.started_at_ms:
        ask.started_at_ms = replay.port.now_ms()
    scope = Scope(replay, ask.attempt, ask.key, ask.step_id)
    here = HERE.set(scope)
    if branch is not None:
        branch.in_body = True
    replay.executing[ask.key] = ask.step_id
    try:
        if replay.environment.on_body is not None:
            await replay.environment.on_body(replay.run.run_id, ask.step_id)
        fn, body = call.fn, call.body
        if replay.environment.stand_in is not None:
            body = replay.environment.stand_in(replay.run, ask.step_id, body)
            fn = fn if body is call.body else body
        if call.options.timeout_ms is None and is_async(fn):
            returned = await body()  # as nearly always, and a coroutine less than by way of `execute`
        else:
            returned = await execute(replay, scope, fn, body, call.options.timeout_ms)
    except GeneratorExit as error:
        if branch is None or replay.current is not branch:
            raise  # the coroutine is being closed; a body that raises it does so while its branch is resumed
        return Raised(error)
    except CancelledError as error:
        if task is None or task.cancelling() > cancellings:
            raise
        return Raised(error)  # the body's own: something that it awaited was cancelled
    except BaseException as error:
        return Raised(error)
    finally:
        HERE.reset(here)
        replay.executing.pop(ask.key, None)
        if branch is not None:
            branch.in_body = False
        del branch, task  # a cancelled task holds the error, whose traceback holds this frame
    try:
        return _stored(replay, call, returned)
    except BaseException as error:  # the user's own class is asked to hold the value
        return Raised(error)


def _stored(replay: Replay, call: StepCall, returned: Any) -> Returned:
    what = f"the result of step {call.step_id!r}"
    annotation = result_type(call.fn, call.options.output_type)
    blob, value = roundtrip_typed(returned, annotation, what=what)
    limits = replay.function.limits
    if len(blob) > limits.step_result_bytes or replay.bytes_recorded + len(blob) > limits.run_bytes:
        limits.check_bytes("step_result_bytes", what, len(blob))
        limits.check_bytes("run_bytes", f"the run, with {what},", replay.bytes_recorded + len(blob))
    return Returned(blob, value)
