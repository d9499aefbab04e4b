"""A function: user code under a stable id, with its triggers and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from durableq.model.backoff import Backoff
from durableq.model.limits import Limits
from durableq.model.retry import check_retries
from durableq.model.trigger import CronTrigger, EventTrigger, Trigger
from durableq.words import codec
from durableq.words.errors import ConfigError
from durableq.words.familiar import familiar
from durableq.words.ids import check_id

R = TypeVar("R")

TRIGGERS_MAX = 10
NAME_MAX = 256


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

    @property
    def full_id(self) -> str:
        return f"{self.app_id}/{self.id}"

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        return self.handler(*args, **kwargs)

    def declaration(self) -> bytes:
        """What the registry stores of it: everything that routing and screens need, nothing that executes."""
        return codec.encode(
            {
                "id": self.id,
                "name": self.name,
                "triggers": [trigger.to_map() for trigger in self.triggers],
                "retries": self.retries,
                "backoff": None if self.backoff is None else self.backoff.to_map(),
            },
            what=f"function {self.full_id}",
        )


def check_options(
    function_id: object, triggers: object, retries: object, backoff: object, name: object
) -> tuple[str, tuple[Trigger, ...], int, Backoff | None, str]:
    """Validate a declaration. Raises ConfigError naming the option, the rule and the value."""
    checked_id = check_id("function id", function_id)
    where = f"function {checked_id!r}"
    if backoff is not None and not isinstance(backoff, Backoff):
        raise ConfigError(f"{where}: backoff must be Backoff.exponential(…), .fixed(…) or .table(…), not {backoff!r}")
    if name is not None and (not isinstance(name, str) or not 1 <= len(name) <= NAME_MAX):
        raise ConfigError(f"{where}: name must be text of 1 to {NAME_MAX} characters, not {name!r}")
    return checked_id, _check_triggers(where, triggers), check_retries(retries, where), backoff, name or checked_id


def _check_triggers(where: str, triggers: object) -> tuple[Trigger, ...]:
    if isinstance(triggers, (EventTrigger, CronTrigger)):
        triggers = [triggers]
    if isinstance(triggers, str) or not isinstance(triggers, Sequence):
        raise ConfigError(f"{where}: triggers must be a list such as [EventTrigger('order/created')], not {triggers!r}")
    for trigger in triggers:
        if not isinstance(trigger, (EventTrigger, CronTrigger)):
            meant = "CronTrigger" if isinstance(trigger, str) and _looks_like_cron(trigger) else "EventTrigger"
            raise ConfigError(f"{where}: triggers holds {trigger!r}, which is no {meant}: write {meant}({trigger!r})")
    if not 1 <= len(triggers) <= TRIGGERS_MAX:
        raise ConfigError(f"{where}: triggers must hold 1 to {TRIGGERS_MAX} triggers, not {len(triggers)}")
    if len(set(triggers)) < len(triggers):
        raise ConfigError(
            f"{where}: the same trigger stands twice in triggers: {next(t for t in triggers if triggers.count(t) > 1)}"
        )
    crons: dict[str, CronTrigger] = {}
    for trigger in triggers:
        if isinstance(trigger, CronTrigger) and crons.setdefault(trigger.key, trigger) is not trigger:
            raise ConfigError(f"{where}: two triggers have the same times: {crons[trigger.key]}, and {trigger}")
    return tuple(triggers)


def _looks_like_cron(text: str) -> bool:
    return len(text.split()) in (5, 6) or text.startswith(("@", "TZ=", "CRON_TZ="))
