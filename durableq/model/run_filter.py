"""Which runs: by function, app, status, time, error, and what their events say. What bulk operations and counts go by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

from durableq.model.expressions import Expression, compile_expression
from durableq.model.function import ON_FAILURE, Function
from durableq.model.reading import FIELDS
from durableq.model.run import FINAL, State
from durableq.words.errors import ConfigError, ExpressionError, class_path
from durableq.words.ids import check_id
from durableq.words.periods import Duration, to_ms, when_ms
from durableq.words.shown import shown

VARIABLES: Final = frozenset({"event", "run"})
RUN_FIELDS: Final = (
    "id",
    "function",
    "app",
    "status",
    "attempt",
    "created_at_ms",
    "started_at_ms",
    "ended_at_ms",
    "parent",
    "rerun_of",
    "rerun_as",
    "error",
)
"""What `where` may read of a run. `error` has `name` and `message`, or is null; `rerun_as` is null of what nobody did again."""

FAILED: Final = frozenset({State.FAILED, State.CANCELLED})
"""Those that have an error."""

FOREVER_MS: Final = 1 << 52
Moment = Duration | datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Runs of which all of this is true: `RunFilter(function="shop/pay", status="failed", since="2h")`.

    Args:
        function: One function or several, as such or by `app/function`.
        app: All functions of this app.
        status: queued, running, waiting, completed, failed or cancelled; one or several. Without it all that the operation
            is for.
        since: Created then or later: a duration ago ("2h", a timedelta, seconds), an aware datetime, or ISO 8601 text.
        until: Created then or before.
        error: Failed or cancelled with an error of this class or a subclass: the class, its name, or `module.Name`.
        where: An expression over `event`, the run's own (of a batch any of them), and `run`, which has id, function, app,
            status, attempt, created_at_ms, started_at_ms, ended_at_ms, parent, rerun_of, rerun_as (the newest run that
            does it again, null while none has), error.name and error.message:
            `"event.data.plan == 'pro' && run.error.message.contains('timed out') && run.rerun_as == null"`.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        ExpressionError: `where` does not compile; the message points at the character.
    """

    function: Function[Any] | str | Sequence[Function[Any] | str] | None = None
    app: str | None = None
    status: str | Iterable[str] | None = None
    since: Moment | None = None
    until: Moment | None = None
    error: type[BaseException] | str | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        if self.function is not None:
            given: Any = self.function
            listed = [given] if isinstance(given, (str, Function)) else given
            if not isinstance(listed, Sequence) or not listed:
                raise ConfigError(f"RunFilter function must be a function or a list of them, not {shown(given)}")
            object.__setattr__(self, "function", tuple(dict.fromkeys(_full_id(each) for each in listed)))
        if self.app is not None:
            check_id("RunFilter app", self.app)
        if self.status is not None:
            object.__setattr__(self, "status", _statuses(self.status))
        for name in ("since", "until"):
            _at_ms(f"RunFilter {name}", getattr(self, name), 0)
        self._check_order()
        if self.error is not None:
            object.__setattr__(self, "error", _error(self.error))
            living = [state.label for state in self._given or () if state not in FAILED]
            if living:
                raise ConfigError(
                    f"RunFilter error is of failed and cancelled runs: leave out status {', '.join(living)}, or error"
                )
        if self.where is not None:
            compiled_where(self.where)

    def _check_order(self) -> None:
        """Two durations, or two times, of which the first is later hold for no run: they have been mixed up."""
        since, until = (_at_ms(f"RunFilter {name}", getattr(self, name), 0) for name in ("since", "until"))
        if since is None or until is None or (since > 0) != (until > 0):
            return
        if since > until:
            raise ConfigError(
                f"RunFilter since {shown(self.since)} is later than RunFilter until {shown(self.until)}: no run was created "
                "then; since is the earlier of the two, such as '5h', and until '2h'"
            )

    @property
    def functions(self) -> tuple[str, ...]:
        """Full ids; () for all."""
        return self.function or ()  # type: ignore[return-value]

    @property
    def _given(self) -> tuple[State, ...] | None:
        return None if self.status is None else tuple(State.of_label(str(name)) for name in self.status)

    def states(self, usual: Iterable[State], operation: str = "") -> frozenset[State]:
        """The states of these runs, where an operation is for those `usual` ones. Raises ConfigError for others."""
        possible = frozenset(usual)
        if self._given is not None:
            given = frozenset(self._given)
            if not given <= possible:
                wrong = ", ".join(sorted(state.label for state in given - possible))
                right = ", ".join(state.label for state in State if state in possible)
                raise ConfigError(f"{operation} is for {right} runs, and the filter asks for {wrong} ones")
            possible = given
        return possible & FAILED if self.error is not None else possible

    def created(self, now_ms: int) -> tuple[int, int]:
        """Between when and when they were created, in ms, both included."""
        since = _at_ms("RunFilter since", self.since, now_ms)
        until = _at_ms("RunFilter until", self.until, now_ms)
        return (0 if since is None else since), (FOREVER_MS if until is None else until)

    def condition(self) -> Expression | None:
        """`where`, compiled."""
        return None if self.where is None else compiled_where(self.where)


def compiled_where(source: object) -> Expression:
    """A condition over `event` and `run`. Raises ExpressionError, ConfigError."""
    if not isinstance(source, str):
        raise ConfigError(
            f"RunFilter where must be an expression in a string, not {type(source).__name__}: {shown(source)}"
        )
    expression = compile_expression(source, variables=VARIABLES)
    for path in expression.fields:
        known = FIELDS if path[0] == "event" else RUN_FIELDS
        if len(path) > 1 and path[1] not in known:
            near = get_close_matches(path[1], known, 1, 0.6)
            meant = near[0] if near else f"data.{path[1]}" if path[0] == "event" else known[0]
            found = re.search(rf"\b{path[0]}\s*(?:\.\s*`?|\[\s*['\"])({re.escape(path[1])})", source)
            raise ExpressionError(
                f"{'an event' if path[0] == 'event' else 'a run'} has no field {path[1]!r} here, only {', '.join(known)}; "
                f"did you mean {path[0]}.{meant}?",
                source,
                found.start(1) if found else 0,
            )
    return expression


def _full_id(function: object) -> str:
    if isinstance(function, Function):
        return function.full_id
    if not isinstance(function, str):
        raise ConfigError(
            f"RunFilter function must be a function or its id, not {type(function).__name__}: {shown(function)}"
        )
    app, slash, short = function.partition("/")
    if not slash:
        raise ConfigError(f"RunFilter function {shown(function)} must be a full id, app/function")
    check_id("function id", short.removesuffix(ON_FAILURE))
    return f"{check_id('app id', app)}/{short}"


def _statuses(given: object) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    labels = [state.label for state in State]
    for name in names:
        if name not in labels:
            raise ConfigError(f"RunFilter status must be one of {', '.join(labels)}, not {shown(name)}")
    if not names:
        raise ConfigError("RunFilter status is empty: leave it out, or name some")
    return tuple(dict.fromkeys(map(str, names)))


def _error(given: object) -> str:
    if isinstance(given, type) and issubclass(given, BaseException):
        return class_path(given)
    if not isinstance(given, str) or not given.strip():
        raise ConfigError(f"RunFilter error must be an error's class or its name, not {shown(given)}")
    return given.strip()


def _at_ms(what: str, given: object, now_ms: int) -> int | None:
    if given is None:
        return None
    if isinstance(given, (timedelta, int, float)) and not isinstance(given, bool):
        return now_ms - to_ms(what, given)
    if isinstance(given, str) and not given[:1].isdigit():
        raise ConfigError(f"{what} {shown(given)} is neither a duration, such as '2h', nor a time in ISO 8601")
    if isinstance(given, str) and given[4:5] != "-":
        return now_ms - to_ms(what, given)
    if not isinstance(given, (str, datetime)):
        raise ConfigError(f"{what} must be a duration or a time, not {type(given).__name__}: {shown(given)}")
    return when_ms(what, given, 1 << 62)


LIVING: Final = frozenset(State) - FINAL
