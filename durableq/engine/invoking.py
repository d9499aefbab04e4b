"""`invoke`: another function's run, made and awaited by a step.

The child's id is a function of the run, the step and the function, so however often the step is tried there is one child. Its
result comes as the type that the function's annotation names. On timeout it goes on by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from durableq.engine.port import Invocation, StepNote
from durableq.engine.records import ChildAwaited
from durableq.engine.waiting import wait_outside
from durableq.model.failure import Failure
from durableq.model.function import Function, check_invocable
from durableq.model.invoking import encode_invoked
from durableq.model.memo import MemoKind
from durableq.words.errors import ConfigError, EventError, InvokeTimeout, LimitExceeded
from durableq.words.ids import check_id, child_run_id
from durableq.words.periods import LONGEST_MS, Duration, format_ms, to_ms
from durableq.words.shown import shown
from durableq.words.typed import decode_typed, result_type

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

_OP = "invoke"


class Wanted(NamedTuple):
    """What to invoke, checked."""

    function: str
    """Its full id."""
    data: Any
    data_type: Any
    """What the function's context names for its data, where it is known."""
    timeout_ms: int
    result_type: Any


def wanted_child(
    replay: Replay, step_id: str, function: object, data: Any, timeout: Duration | None, output_type: Any
) -> Wanted:
    """The call's arguments, checked but for the data. ConfigError where one breaks a rule."""
    what = f"{_OP} {step_id!r}:"
    if isinstance(function, Function):
        full_id, handler, data_type = function.full_id, function.handler, function.event_type
    else:
        full_id, handler, data_type = _full_id(what, function, replay.function.app_id), None, None
    length_ms = LONGEST_MS if timeout is None else to_ms(f"{what} timeout", timeout)
    typed = Any if handler is None and output_type is None else result_type(handler, output_type)
    return Wanted(full_id, data, data_type, length_ms, typed)


def _full_id(what: str, function: object, app_id: str) -> str:
    if not isinstance(function, str):
        hint = ": decorate it with @app.function(…)" if callable(function) else ""
        raise ConfigError(
            f"{what} takes a function of an app or its id, 'app/function', not {type(function).__name__} "
            f"{shown(function)}{hint}"
        )
    app, slash, short = function.rpartition("/")
    check_invocable(f"{what} function id", short)
    return f"{check_id(f'{what} app id', app) if slash else app_id}/{short}"


async def invoke(replay: Replay, key: str, step_id: str, wanted: Wanted) -> Any:
    """Perform the step. Raises StepError with the child's error, InvokeTimeout, and what encode_invoked raises for the data."""

    def begin(note: StepNote) -> Invocation:
        due_at_ms = note.asked_at_ms + wanted.timeout_ms
        child = child_run_id(replay.run.run_id, key, wanted.function)
        blob = ChildAwaited(_OP, step_id, due_at_ms, wanted.function, child).encode()
        given = _given(replay, step_id, wanted, child)
        return Invocation(key, blob, due_at_ms, note, wanted.function, child, given)

    memo = await wait_outside(replay, key, step_id, _OP, begin)
    if memo.kind is MemoKind.TIMED_OUT:
        about = ChildAwaited.decode(memo.blob)
        raise InvokeTimeout(
            f"step {step_id!r}: run {about.child} of {about.function} has not ended within {format_ms(wanted.timeout_ms)}; "
            "it goes on by itself"
        )
    if memo.kind is MemoKind.ERROR:
        raise Failure.decode(memo.blob).to_step_error(step_id, key)
    if not memo.blob:
        return None
    return decode_typed(memo.blob, wanted.result_type, what=f"{_OP} {step_id!r}: the result of {wanted.function}")


def _given(replay: Replay, step_id: str, wanted: Wanted, child: str) -> bytes:
    try:
        return encode_invoked(wanted.function, child, wanted.data, replay.function.limits, wanted.data_type)
    except (EventError, LimitExceeded) as error:
        raise type(error)(f"step {step_id!r}: {error}") from None
