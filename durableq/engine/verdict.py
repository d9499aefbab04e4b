"""Verdicts: what an error or a result means for the step or the run. Pure decisions on top of model/retry."""

from __future__ import annotations

from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any

from durableq.engine.interrupts import ExitRefused
from durableq.engine.options import StepOptions
from durableq.model.failure import Failure
from durableq.model.outcome import AttemptFailed, Completed, Failed, Outcome
from durableq.model.retry import Decision, Retry, decide
from durableq.words.errors import ConfigError
from durableq.words.typed import encode_typed, result_type

if TYPE_CHECKING:
    from durableq.engine.replay import Replay


def retry_of_step(replay: Replay, options: StepOptions, error: BaseException, attempt: int) -> Decision:
    """Whether this step's failed attempt is followed by another."""
    function = replay.function
    retries = function.retries if options.retries is None else options.retries
    backoff = function.backoff if options.backoff is None else options.backoff
    return _decide(replay, error, attempt, retries, backoff)


def outcome_of(replay: Replay, value: Any, error: BaseException | None) -> Outcome:
    """What the end of the function means: `error` is what it raised, None if it returned `value`."""
    if error is None:
        try:
            return Completed(_stored(replay, value))
        except BaseException as refused:  # the user's own class is asked for what to store, and may even exit
            return Failed(Failure.of(refused))
    if isinstance(error, ExitRefused) and error.__cause__ is not None:
        error = error.__cause__
    failure = Failure.of(error)
    decision = _decide(replay, error, replay.run.attempt, replay.function.retries, replay.function.backoff)
    if isinstance(decision, Retry):
        return AttemptFailed(failure, replay.run.attempt + 1, decision.delay_ms)
    return Failed(failure)


def _decide(replay: Replay, error: BaseException, attempt: int, retries: int, backoff: Any) -> Decision:
    environment = replay.environment
    return decide(error, attempt, retries, backoff, now_ms=replay.port.now_ms(), chance=environment.chance())


def _stored(replay: Replay, value: Any) -> bytes:
    if value is None:
        return b""
    if not replay.function.is_async and isawaitable(value):
        if iscoroutine(value):
            value.close()  # or Python would warn as well that it was never awaited
        raise ConfigError(f"the function returned a {type(value).__name__}: make the wrapper `async def`")
    what = f"the result of function {replay.function.full_id!r}"
    blob = encode_typed(value, result_type(replay.function.handler), what=what)
    limits = replay.function.limits
    limits.check_bytes("step_result_bytes", what, len(blob))
    limits.check_bytes("run_bytes", f"the run, with {what},", replay.bytes_recorded + len(blob))
    return blob
