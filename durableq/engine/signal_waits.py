"""`wait_for_signal` and `send_signal`: a name that one run waits for, and what another one gives it.

Sending is a step with a body. An attempt that was delivered and died before that is recorded sends again, under the same
token, and is answered as the first time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from durableq.engine.port import SignalWait, StepNote
from durableq.engine.records import SignalAwaited
from durableq.engine.waiting import timeout_ms_of, wait_outside
from durableq.model.failure import Failure
from durableq.model.memo import MemoKind
from durableq.model.signal import Signal, check_conflict, check_signal, encode_signal
from durableq.words.periods import Duration
from durableq.words.typed import decode_typed, result_type

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

_OP = "wait_for_signal"


class Wanted(NamedTuple):
    """What to wait for, checked."""

    signal: str
    timeout_ms: int
    replace: bool
    data_type: Any


def wanted_signal(step_id: str, signal: str, timeout: Duration, on_conflict: str, output_type: Any) -> Wanted:
    """The call's arguments, checked. ConfigError for one that breaks a rule."""
    what = f"{_OP} {step_id!r}:"
    name = check_signal(f"{what} signal", signal)
    length_ms = timeout_ms_of(what, timeout)
    replace = check_conflict(f"{what} on_conflict", on_conflict) == "replace"
    return Wanted(name, length_ms, replace, Any if output_type is None else result_type(None, output_type))


async def wait_for_signal(replay: Replay, key: str, step_id: str, wanted: Wanted) -> Signal[Any] | None:
    """Perform the wait. Raises StepError where the signal is taken."""
    signal = wanted.signal

    def begin(note: StepNote) -> SignalWait:
        due_at_ms = note.asked_at_ms + wanted.timeout_ms
        blob = SignalAwaited(_OP, step_id, due_at_ms, signal).encode()
        return SignalWait(key, blob, due_at_ms, note, signal, wanted.replace)

    memo = await wait_outside(replay, key, step_id, _OP, begin)
    if memo.kind is MemoKind.TIMED_OUT:
        return None
    if memo.kind is MemoKind.ERROR:
        raise Failure.decode(memo.blob).to_step_error(step_id, key)
    what = f"{_OP} {step_id!r}: data"
    return Signal(signal, decode_typed(memo.blob, wanted.data_type, what=what) if memo.blob else None)


def sending_signal(
    replay: Replay, key: str, step_id: str, signal: str, data: Any
) -> Callable[[], Awaitable[str | None]]:
    """The body that sends it and returns the run that it reached, or None. ConfigError for a name that is not allowed."""
    what = f"send_signal {step_id!r}:"
    name = check_signal(f"{what} signal", signal)

    async def send() -> str | None:
        blob = encode_signal(data, what=f"{what} data")
        replay.function.limits.check_bytes("step_result_bytes", f"{what} data", len(blob))
        return await replay.environment.send_signal(name, f"{replay.run.run_id}.{key}", blob) or None

    return send
