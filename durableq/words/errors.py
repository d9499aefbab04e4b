"""Every exception that durableq raises on purpose. Each docstring says when it is raised and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Never

from durableq.words.theirs import TABLE, sentence


class DurableqError(Exception):
    """Above every error of this package. Catch it to catch them all."""


class ConfigError(DurableqError, ValueError):
    """An option, id, URL or declaration breaks a rule. The message names thing, rule and value: change the value."""


class ExpressionError(ConfigError):
    """An expression does not compile. `position` is the 0-based offset of the character that the message points at.

    Raised when the function is declared, never while events are matched.
    """

    def __init__(self, message: str, source: str, position: int) -> None:
        self.source = source
        self.position = position
        self.reason = message
        super().__init__(_with_caret(message, source, position))


def _with_caret(message: str, source: str, position: int) -> str:
    before = source.rfind("\n", 0, position) + 1
    end = source.find("\n", before)
    line = source[before:] if end < 0 else source[before:end]
    left = max(0, position - before - 60)
    shown = line[left : left + 120]
    return f"{message}\n  {shown}\n  {' ' * (position - before - left)}^"


class CodecError(DurableqError, TypeError):
    """A value cannot be stored. `path` says where in it; return data the codec knows, or annotate the return type."""

    def __init__(self, message: str, path: str = "") -> None:
        self.path = path
        super().__init__(message)


class LimitExceeded(DurableqError, ValueError):
    """Something is larger or longer than its limit. The message gives both figures and the option that raises it."""


class EventError(DurableqError, ValueError):
    """An event breaks a rule (name, data, id, ts). Nothing was sent. The message names field, rule and value."""


class RedisUnavailable(DurableqError, ConnectionError):
    """Redis could not be reached, or went away. Workers wait and go on; anything else may try again."""


class RedisRefused(DurableqError):
    """Redis answered and will not have us: wrong password, TLS against plain, another kind of server. Mend the URL."""


class QueueFull(DurableqError):
    """Redis is nearly out of memory, so nothing new is admitted or stored. Try again after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"Redis has used 80 % of its maxmemory: no new events are taken. Try again in {retry_after:g} s, "
            "or give Redis more memory."
        )


class SendError(DurableqError):
    """Not every event is known to be stored. `sent` were, `not_sent` were not, `unknown` may have been.

    Sending `not_sent` and `unknown` again is safe for two minutes: the ids they carry are deduplicated.
    """

    def __init__(self, reason: str, sent: Sequence[Any], not_sent: Sequence[Any], unknown: Sequence[Any]) -> None:
        self.sent = list(sent)
        self.not_sent = list(not_sent)
        self.unknown = list(unknown)
        super().__init__(
            f"{reason} ({len(self.sent)} stored, {len(self.not_sent)} not stored, "
            f"{len(self.unknown)} may have been stored)"
        )


class InvokeError(RedisUnavailable):
    """Redis did not answer an `invoke` in time. `maybe_started` says whether the run may have been started under `run_id`.

    If it may, `await client.handle(error.run_id).status()` tells, or raises RunNotFound. If not, invoke again.
    """

    def __init__(self, reason: str, run_id: str, *, maybe_started: bool) -> None:
        self.run_id = run_id
        self.maybe_started = maybe_started
        came_to = (
            f"run {run_id} may have been started: its handle tells" if maybe_started else "the run was not started"
        )
        super().__init__(f"{reason.rstrip('.')}; {came_to}")


class StateLost(DurableqError):
    """The namespace in Redis is not the one this process knew: flushed, or restored from elsewhere. Writing stops.

    Look at Redis first. When the loss is known and accepted, restart the process.
    """


class UnknownSchema(DurableqError):
    """Redis holds data of another release, in a format this one cannot read. Run the release that the message names."""


class RunNotFound(DurableqError, LookupError):
    """No run has this id, or its retention is over."""


class StepError(DurableqError):
    """A step used up its attempts. Catch it at the step's call to compensate. Always rebuilt from the record.

    `name` is the class name of the original error, `message` its text, `stack` the user's own frames,
    `matches(SomeError)` tells whether the original error was of that class.
    """

    def __init__(
        self, name: str, message: str, stack: str = "", *, step: str = "", classes: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.message = message
        self.stack = stack
        self.step = step
        self._key = ""  # where the error is recorded, of one that was
        self.classes = tuple(classes) or (name,)
        super().__init__(f"{name}: {message}" if message else name)

    def matches(self, error_type: type[BaseException] | str) -> bool:
        """Whether the recorded error was of this class or of a subclass, by recorded class names, bases included."""
        wanted = error_type if isinstance(error_type, str) else class_path(error_type)
        return wanted in self.classes or (isinstance(error_type, str) and wanted in _short_names(self.classes))


def _short_names(classes: Sequence[str]) -> set[str]:
    return {path.rpartition(".")[2] for path in classes}


def class_path(error_type: type[BaseException]) -> str:
    """The name under which a class is recorded: `module.QualName`, builtins without a module."""
    if error_type.__module__ == "builtins":
        return error_type.__qualname__
    return f"{error_type.__module__}.{error_type.__qualname__}"


class StepTimeout(DurableqError, TimeoutError):
    """A step's body ran longer than its `timeout`. It is retried like any other error."""


class InvokeTimeout(DurableqError, TimeoutError):
    """An invoked run has not ended within the `timeout` of its `invoke`. It goes on by itself; give it longer, or cancel it."""


class FunctionNotFound(DurableqError, LookupError):
    """No function of this id is registered in the namespace. Start a worker that has it, or run `durableq sync`."""


class SignalTaken(DurableqError):
    """Another run waits for this signal already. Give each wait a name of its own, or pass `on_conflict="replace"`."""


class RunFailed(DurableqError):
    """The run that was awaited has failed. `name`, `message` and `stack` are those of its error; `run_id` is its own."""

    def __init__(self, name: str, message: str, stack: str = "", *, run_id: str = "") -> None:
        self.name = name
        self.message = message
        self.stack = stack
        self.run_id = run_id
        super().__init__(
            f"run {run_id} failed with {name}: {message}" if message else f"run {run_id} failed with {name}"
        )


class RunCancelled(DurableqError):
    """The run that was awaited has been cancelled; the message says by what."""


class RunSkipped(DurableqError):
    """Flow control did not start the run: a rate limit, an idempotency key, a singleton, a pause, or concurrency with
    hold="run" where an invoked run would wait for itself. The message says which.

    `reason` is that word, `key` what the limit's key came to, `run_id` the run that has the key, where one has: its handle
    tells what it comes to. At a step's `invoke` it is a StepError that `matches(RunSkipped)`, with the same message.
    """

    def __init__(self, message: str, *, reason: str = "", key: str = "", run_id: str = "") -> None:
        self.reason = reason
        self.key = key
        self.run_id = run_id
        super().__init__(message)


class ResultTimeout(DurableqError, TimeoutError):
    """A run has not ended within the `timeout` of `result`. It goes on; ask again, with the same handle or by its id."""


class WorkerCrashed(DurableqError):
    """A run was being executed at three deaths of a worker process, the last alone. Look at the last step it names."""


class NestedStep(DurableqError):
    """A step was called inside another step's body. Call it from the function, after or beside the other."""


class NonRetriableError(DurableqError):
    """Raise it where trying again cannot help. In a step it ends the step's attempts, outside it ends the run."""

    def __init__(self, *args: object, **theirs: Never) -> None:
        if theirs:
            _refuse_theirs("NonRetriableError", theirs)
        super().__init__(*args)


class RetryAfterError(DurableqError):
    """Raise it to say when the next attempt may start: seconds, a duration string, a `timedelta` or a `datetime`."""

    def __init__(self, message: str, retry_after: float | str | timedelta | datetime, **theirs: Never) -> None:
        if theirs:
            _refuse_theirs("RetryAfterError", theirs)
        self.retry_after = retry_after
        super().__init__(message)


class SyncInLoop(DurableqError, RuntimeError):
    """A blocking call was made inside a running event loop, which it would stop. Await the same verb instead."""


def _refuse_theirs(error: str, given: Mapping[str, object]) -> None:
    known = TABLE[error].keywords["__init__"]
    for name in given:
        if name in known:
            raise ConfigError(sentence(f"{error}(…)", f"{name}=", known[name]))
        raise TypeError(f"{error}() got an unexpected keyword argument {name!r}")
