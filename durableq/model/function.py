"""A function: user code under a stable id, with its triggers and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from durableq.model.backoff import Backoff
from durableq.model.cancelling import CancelOn, Timeouts, check_cancel_on, check_timeouts
from durableq.model.combining import check_together
from durableq.model.flow_options import NO_FLOW, FlowOptions, check_flow
from durableq.model.limits import Limits
from durableq.model.reading import check_fields
from durableq.model.retry import DEFAULT_RETRIES, check_retries
from durableq.model.system import FAILED
from durableq.model.trigger import CronTrigger, EventTrigger, Trigger
from durableq.words import codec
from durableq.words.errors import ConfigError, ExpressionError
from durableq.words.familiar import familiar
from durableq.words.ids import check_id
from durableq.words.shown import shown

R = TypeVar("R")

TRIGGERS_MAX = 10
NAME_MAX = 256

ON_FAILURE: Final = ":on-failure"
"""What the id of a function's failure handler ends with. No user's id has a colon."""


@familiar
@dataclass(frozen=True, slots=True, eq=False)
class Function(Generic[R]):
    """What `@app.function` makes of user code. Callable as the plain function, for unit tests."""

    id: str
    app_id: str
    handler: Callable[..., R]
    triggers: tuple[Trigger, ...]
    retries: int
    backoff: Backoff | None
    name: str
    is_async: bool
    limits: Limits
    origin: str
    """Where the code stands, `module:line`, for messages."""
    event_type: Any = field(default=None)
    """T of `Context[T]`, by which the event's data is validated; None for plain dicts."""
    cancel_on: tuple[CancelOn, ...] = ()
    timeouts: Timeouts | None = None
    flow: FlowOptions = NO_FLOW

    @property
    def full_id(self) -> str:
        return f"{self.app_id}/{self.id}"

    @property
    def finish_ms(self) -> int:
        """How long a run may take from its first claim; 0: as long as it likes."""
        return 0 if self.timeouts is None else self.timeouts.finish_ms

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        return self.handler(*args, **kwargs)

    def declaration(self) -> bytes:
        """What the registry stores of it: everything that routing and screens need, nothing that executes."""
        declared = {
            "id": self.id,
            "name": self.name,
            "triggers": [trigger.to_map() for trigger in self.triggers],
            "retries": self.retries,
            "backoff": None if self.backoff is None else self.backoff.to_map(),
        }
        if self.cancel_on:
            declared["cancel_on"] = [one.to_map() for one in self.cancel_on]
        if self.timeouts is not None:
            declared["timeouts"] = self.timeouts.to_map()
        declared.update(self.flow.to_map())
        return codec.encode(declared, what=f"function {self.full_id}")


class Options(NamedTuple):
    """What was given to `app.function`, checked."""

    id: str
    triggers: tuple[Trigger, ...]
    retries: int = DEFAULT_RETRIES
    backoff: Backoff | None = None
    name: str = ""
    cancel_on: tuple[CancelOn, ...] = ()
    timeouts: Timeouts | None = None
    on_failure: Callable[..., Any] | None = None
    flow: FlowOptions = NO_FLOW


def check_options(
    function_id: object,
    triggers: object,
    retries: object,
    backoff: object,
    name: object,
    cancel_on: object = (),
    timeouts: object = None,
    on_failure: object = None,
    **flow: object,
) -> Options:
    """Validate a declaration; `flow` as for `check_flow`. Raises ConfigError naming the option, the rule and the value."""
    checked_id = check_id("function id", function_id)
    where = f"function {checked_id!r}"
    if backoff is not None and not isinstance(backoff, Backoff):
        raise ConfigError(f"{where}: backoff must be Backoff.exponential(…), .fixed(…) or .table(…), not {backoff!r}")
    if name is not None and (not isinstance(name, str) or not 1 <= len(name) <= NAME_MAX):
        raise ConfigError(f"{where}: name must be text of 1 to {NAME_MAX} characters, not {name!r}")
    options = Options(
        checked_id,
        _check_triggers(where, triggers),
        check_retries(retries, where),
        backoff,
        name or checked_id,
        check_cancel_on(where, cancel_on),
        check_timeouts(where, timeouts),
        _check_on_failure(where, on_failure),
        check_flow(where, **flow),
    )
    check_together(where, checked_id, options.flow, options.triggers, options.cancel_on)
    return options


def check_invocable(what: str, function_id: str) -> str:
    """The short id of a function that may be invoked, unchanged. Raises ConfigError, also for a failure handler's."""
    if function_id.endswith(ON_FAILURE):
        raise ConfigError(
            f"{what} {shown(function_id)} is that of an on_failure, which only a failure starts: give what it does to a "
            "function of its own"
        )
    return check_id(what, function_id)


def failed_trigger(app_id: str, function_id: str) -> EventTrigger:
    """What starts a function's failure handler."""
    # Ids have no quotes.
    return EventTrigger(FAILED, if_=f"event.data.app_id == '{app_id}' && event.data.function_id == '{function_id}'")


def _check_on_failure(where: str, handler: object) -> Callable[..., Any] | None:
    if isinstance(handler, Function):
        raise ConfigError(
            f"{where}: on_failure is {handler.full_id}, which is declared already: give on_failure a plain function(ctx), or "
            f"give {handler.id!r} a trigger, EventTrigger({FAILED!r})"
        )
    if handler is not None and (not callable(handler) or isinstance(handler, type)):
        raise ConfigError(f"{where}: on_failure must be a function(ctx), not {shown(handler)}")
    return handler


def _check_triggers(where: str, triggers: object) -> tuple[Trigger, ...]:
    if isinstance(triggers, (EventTrigger, CronTrigger)):
        triggers = [triggers]
    if isinstance(triggers, str) or not isinstance(triggers, Sequence):
        raise ConfigError(f"{where}: triggers must be a list such as [EventTrigger('order/created')], not {triggers!r}")
    for trigger in triggers:
        if not isinstance(trigger, (EventTrigger, CronTrigger)):
            meant = "CronTrigger" if isinstance(trigger, str) and _looks_like_cron(trigger) else "EventTrigger"
            raise ConfigError(f"{where}: triggers holds {trigger!r}, which is no {meant}: write {meant}({trigger!r})")
        _check_condition(where, trigger)
    if len(triggers) > TRIGGERS_MAX:
        raise ConfigError(f"{where}: triggers must hold at most {TRIGGERS_MAX} triggers, not {len(triggers)}")
    if len(set(triggers)) < len(triggers):
        raise ConfigError(
            f"{where}: the same trigger stands twice in triggers: {next(t for t in triggers if triggers.count(t) > 1)}"
        )
    crons: dict[str, CronTrigger] = {}
    for trigger in triggers:
        if isinstance(trigger, CronTrigger) and crons.setdefault(trigger.key, trigger) is not trigger:
            raise ConfigError(f"{where}: two triggers have the same times: {crons[trigger.key]}, and {trigger}")
    return tuple(triggers)


def _check_condition(where: str, trigger: Trigger) -> None:
    condition = trigger.condition() if isinstance(trigger, EventTrigger) else None
    if condition is None:
        return
    try:
        check_fields(condition)
    except ExpressionError as error:
        raise ExpressionError(f"{where}: triggers: {error.reason}", error.source, error.position) from None


def _looks_like_cron(text: str) -> bool:
    return len(text.split()) in (5, 6) or text.startswith(("@", "TZ=", "CRON_TZ="))
