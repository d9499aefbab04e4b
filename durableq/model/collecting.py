"""Events that are held back before they start a run: `Debounce` keeps the newest, `Batch` keeps them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from durableq.model.flow_rules import SECOND_MS, WEEK_MS, compiled, is_constant, key_expression, whole
from durableq.words.errors import ConfigError
from durableq.words.familiar import familiar
from durableq.words.periods import Duration, to_ms
from durableq.words.shown import shown

BATCH_MOST: Final = 10_000
"""A batch ends at 10 MiB whatever its size; so many events of 1 KB are that much, and a run reads all of them at once."""


@dataclass(frozen=True, slots=True)
class Debounce:
    """One run once no event has come for a while, with the newest event: `Debounce("10s", key="event.data.doc_id")`.

    Args:
        period: 1 s to 7 days without an event.
        key: An expression over the event: each value is debounced by itself. An event for which it comes to nothing, or
            to `false`, starts its run at once.
        timeout: However many events come, the run starts at the latest so long after the first of them. Without it, one
            that keeps coming more often than `period` starts none.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        ExpressionError: `key` does not compile; the message points at the character.
    """

    period: Duration
    key: str | None = field(default=None, kw_only=True)
    timeout: Duration | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        period_ms = to_ms("Debounce period", self.period, minimum_ms=SECOND_MS, maximum_ms=WEEK_MS)
        if self.timeout is not None:
            timeout_ms = to_ms("Debounce timeout", self.timeout, minimum_ms=1)
            if timeout_ms < period_ms:
                raise ConfigError(
                    f"Debounce timeout must be at least its period, {shown(self.period)}, not {shown(self.timeout)}: the "
                    "run would never wait for the period"
                )
            object.__setattr__(self, "timeout", timedelta(milliseconds=timeout_ms))
        object.__setattr__(self, "period", timedelta(milliseconds=period_ms))
        object.__setattr__(self, "key", key_expression("Debounce key", self.key))

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry. `timeout_ms` 0: none."""
        timeout_ms = 0 if self.timeout is None else to_ms("Debounce timeout", self.timeout)
        return {"period_ms": to_ms("Debounce period", self.period), "timeout_ms": timeout_ms, "key": self.key}


@familiar
@dataclass(frozen=True, slots=True)
class Batch:
    """One run for several events, which are `ctx.events`: `Batch(100, timeout="5s")`.

    A batch ends when it has so many events, when the first of them is as old as `timeout`, or before it would pass 10 MiB.

    Args:
        size: 2 to 10,000 events.
        timeout: 1 s to 7 days.
        key: An expression over the event: each value has batches of its own. Events for which it comes to nothing share
            one batch; one for which it is `false` is a run by itself.
        if_: An expression over the event. An event for which it does not hold, or cannot be evaluated, is a run by itself.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        ExpressionError: `key` or `if_` does not compile; the message points at the character.
    """

    size: int
    timeout: Duration = field(kw_only=True)
    key: str | None = field(default=None, kw_only=True)
    if_: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", whole("Batch size", self.size, 2, BATCH_MOST))
        length_ms = to_ms("Batch timeout", self.timeout, minimum_ms=SECOND_MS, maximum_ms=WEEK_MS)
        object.__setattr__(self, "timeout", timedelta(milliseconds=length_ms))
        object.__setattr__(self, "key", key_expression("Batch key", self.key))
        if self.if_ is not None:
            condition = compiled("Batch if_", self.if_)
            if is_constant(condition):
                raise ConfigError(
                    f"Batch if_ {shown(self.if_)} reads nothing of the event: it collects all of them or none. Leave it out"
                )
            object.__setattr__(self, "if_", condition.source)

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        timeout_ms = to_ms("Batch timeout", self.timeout)
        return {"size": self.size, "timeout_ms": timeout_ms, "key": self.key, "if": self.if_}
