"""What ends runs from outside by declaration: events that cancel them, and times within which they must begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from durableq.model.filing import condition
from durableq.model.reading import check_fields
from durableq.model.system import listened_name
from durableq.words.errors import ConfigError
from durableq.words.familiar import familiar
from durableq.words.periods import Duration, to_ms
from durableq.words.shown import shown

CANCEL_ON_MAX: Final = 5


@familiar
@dataclass(frozen=True, slots=True)
class CancelOn:
    """An event that cancels the function's runs: `CancelOn("order/cancelled", if_="event.data.id == async.data.id")`.

    It is heard from behind the event that started the run until the run ends; that event itself never cancels.

    Args:
        event: The name of one event, without a wildcard. It may be one of the system's, such as `durableq/function.failed`.
        if_: An expression over `event`, the one that started the run, and `async`, the one that arrives. Without it every
            event of the name cancels every run of the function. An equality of a field of each is looked up by an index.
        timeout: For how long after its creation, or its due time if the start was delayed, the run may be cancelled so; at
            most 366 days. Without it as long as the run lives.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        ExpressionError: `if_` does not compile; the message points at the character.
    """

    event: str
    if_: str | None = field(default=None, kw_only=True)
    timeout: Duration | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "event", listened_name("CancelOn event", self.event))
        given: object = self.if_
        if given is not None:
            if not isinstance(given, str):
                raise ConfigError(
                    f"CancelOn if_ must be an expression in a string, not {type(given).__name__}: {shown(given)}"
                )
            check_fields(condition(given))
        if self.timeout is not None:
            length_ms = to_ms("CancelOn timeout", self.timeout, minimum_ms=1)
            object.__setattr__(self, "timeout", timedelta(milliseconds=length_ms))

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        stored: dict[str, Any] = {"event": self.event}
        if self.if_ is not None:
            stored["if"] = self.if_
        if self.timeout is not None:
            stored["timeout_ms"] = to_ms("CancelOn timeout", self.timeout)
        return stored

    def __str__(self) -> str:
        return self.event if self.if_ is None else f"{self.event} if {self.if_}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Times after which a run is cancelled: `Timeouts(start="5m", finish="30m")`. One of the two may be left out.

    Args:
        start: From the run's creation, or its due time if the start was delayed, until it is first executed.
        finish: From when it is first executed until it ends; sleeping and waiting count.

    Raises:
        ConfigError: There is neither, or one is no duration above 0 and at most 366 days.
    """

    start: Duration | None = None
    finish: Duration | None = None

    def __post_init__(self) -> None:
        if self.start is None and self.finish is None:
            raise ConfigError("Timeouts needs start or finish, such as Timeouts(start='5m', finish='30m')")
        for name in ("start", "finish"):
            given = getattr(self, name)
            if given is not None:
                length_ms = to_ms(f"Timeouts {name}", given, minimum_ms=1)
                object.__setattr__(self, name, timedelta(milliseconds=length_ms))

    @property
    def start_ms(self) -> int:
        """In ms; 0: none."""
        return 0 if self.start is None else to_ms("Timeouts start", self.start)

    @property
    def finish_ms(self) -> int:
        """In ms; 0: none."""
        return 0 if self.finish is None else to_ms("Timeouts finish", self.finish)

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        return {"start_ms": self.start_ms, "finish_ms": self.finish_ms}


def check_cancel_on(where: str, given: object) -> tuple[CancelOn, ...]:
    """The option `cancel_on`: one, or a list of at most 5. Raises ConfigError with option, rule and value."""
    if isinstance(given, CancelOn):
        given = [given]
    if isinstance(given, str):
        raise ConfigError(f"{where}: cancel_on must be a CancelOn or a list of them: write CancelOn({shown(given)})")
    if not isinstance(given, Sequence) or isinstance(given, (bytes, bytearray)):
        raise ConfigError(
            f"{where}: cancel_on must be a list such as [CancelOn('order/cancelled')], not {type(given).__name__}: "
            f"{shown(given)}"
        )
    for one in given:
        if not isinstance(one, CancelOn):
            hint = f": write CancelOn({shown(one)})" if isinstance(one, str) else ""
            raise ConfigError(f"{where}: cancel_on holds {shown(one)}, which is no CancelOn{hint}")
    if len(given) > CANCEL_ON_MAX:
        raise ConfigError(f"{where}: cancel_on must hold at most {CANCEL_ON_MAX}, not {len(given)}")
    seen: set[str] = set()
    for one in given:
        # Whatever their timeouts are: the longer one would do.
        if str(one) in seen:
            raise ConfigError(f"{where}: the same event stands twice in cancel_on: {one}")
        seen.add(str(one))
    return tuple(given)


def check_timeouts(where: str, given: object) -> Timeouts | None:
    """The option `timeouts`. Raises ConfigError with option, rule and value."""
    if given is not None and not isinstance(given, Timeouts):
        raise ConfigError(
            f"{where}: timeouts must be Timeouts(start='5m', finish='30m'), or with one of the two, not "
            f"{type(given).__name__}: {shown(given)}"
        )
    return given
