"""The options of flow control of a function, together: what `app.function` takes, checked, and as the registry has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from durableq.model.collecting import Batch, Debounce
from durableq.model.concurrency import Concurrency, check_concurrency
from durableq.model.flow_rules import compiled, is_constant, needed_key, of_inngest, one_of
from durableq.model.pacing import RateLimit, Throttle
from durableq.model.singleton import MODES, Singleton
from durableq.words.errors import ConfigError
from durableq.words.shown import shown

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOptions:
    """What a function declares of flow control. Expressions have no spaces around them; limits stand widest first."""

    concurrency: tuple[Concurrency, ...] = ()
    throttle: Throttle | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    priority: str | None = None
    singleton: Singleton | None = None
    idempotency: str | None = None

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry: only what was declared."""
        stored: dict[str, Any] = {}
        if self.concurrency:
            stored["concurrency"] = [limit.to_map() for limit in self.concurrency]
        for name in ("throttle", "rate_limit", "debounce", "batch", "singleton"):
            given: Throttle | RateLimit | Debounce | Batch | Singleton | None = getattr(self, name)
            if given is not None:
                stored[name] = given.to_map()
        if self.priority is not None:
            stored["priority"] = self.priority
        if self.idempotency is not None:
            stored["idempotency"] = {"key": self.idempotency}
        return stored

    def keys(self) -> Iterable[tuple[str, str]]:
        """Every expression that is a key, with the option that it belongs to."""
        for limit in self.concurrency:
            if limit.key is not None:
                yield "concurrency key", limit.key
        for name in ("throttle", "rate_limit", "debounce", "batch", "singleton"):
            key = getattr(getattr(self, name), "key", None)
            if key is not None:
                yield f"{name} key", key
        if self.idempotency is not None:
            yield "idempotency", self.idempotency


NO_FLOW: Final = FlowOptions()


def check_flow(
    where: str,
    *,
    concurrency: object = None,
    throttle: object = None,
    rate_limit: object = None,
    debounce: object = None,
    batch: object = None,
    priority: object = None,
    singleton: object = None,
    idempotency: object = None,
) -> FlowOptions:
    """The options as they were given to `app.function`. Raises ConfigError with function, option, rule and value."""
    return FlowOptions(
        concurrency=check_concurrency(where, concurrency),
        throttle=_of(Throttle, f"{where}: throttle", "Throttle(100, period='1m')", throttle),
        rate_limit=_of(RateLimit, f"{where}: rate_limit", "RateLimit(5, period='1h')", rate_limit),
        debounce=_of(Debounce, f"{where}: debounce", "Debounce('10s')", debounce),
        batch=_of(Batch, f"{where}: batch", "Batch(100, timeout='5s')", batch),
        priority=None if priority is None else _priority(where, priority),
        singleton=_singleton(where, singleton),
        idempotency=None if idempotency is None else _idempotency(where, idempotency),
    )


def _of(cls: type[T], what: str, example: str, given: object) -> T | None:
    if given is None or isinstance(given, cls):
        return given
    raise ConfigError(f"{what} must be {example}, not {type(given).__name__}: {shown(given)}{of_inngest(given)}")


def _singleton(where: str, given: object) -> Singleton | None:
    what = f"{where}: singleton"
    if isinstance(given, str):
        return Singleton(one_of(what, given, MODES))  # type: ignore[arg-type]
    return _of(Singleton, what, "'skip', 'cancel' or Singleton('skip', key='event.data.user_id')", given)


def _priority(where: str, given: object) -> str:
    what = f"{where}: priority"
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        given = str(given)  # told below what is wrong with a number
    expression = compiled(what, given)
    if is_constant(expression):
        raise ConfigError(
            f"{what} {shown(given)} reads nothing of the event: it moves all runs of the function alike, and so none. Write "
            "an expression such as \"event.data.plan == 'pro' ? 120 : 0\""
        )
    return expression.source


def _idempotency(where: str, given: object) -> str:
    what = f"{where}: idempotency"
    key = needed_key(what, given)
    if is_constant(compiled(what, key)):
        raise ConfigError(
            f"{what} {shown(given)} reads nothing of the event: all events of 24 h but the first would be dropped. Name a "
            "field, such as 'event.data.cart_id'; if that is meant, write rate_limit=RateLimit(1, period='24h')"
        )
    return key
