"""How often runs start: `Throttle` puts starts off, `RateLimit` drops what is too much."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from durableq.model.flow_rules import DAY_MS, MOST, SECOND_MS, WEEK_MS, key_expression, whole
from durableq.words.periods import Duration, to_ms

RATE_MOST: Final = 10_000
"""Each admission of the last period is remembered: 10,000 are 110 KB of Redis for each key."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """Runs start at this pace, and what is too much waits its turn: `Throttle(100, period="1m", burst=10)`.

    Starts are `period / limit` apart, in the order in which the runs came; nothing is lost. Steps of runs that have
    started are not throttled.

    Args:
        limit: How many may start within a period.
        period: 1 s to 7 days.
        burst: So many may start at once after a pause.
        key: An expression over the event: each value has a pace of its own. Runs for which it comes to nothing share one;
            those for which it is `false` are not throttled.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        ExpressionError: `key` does not compile; the message points at the character.
    """

    limit: int
    period: Duration = field(kw_only=True)
    burst: int = field(default=1, kw_only=True)
    key: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", whole("Throttle limit", self.limit, 1, MOST))
        object.__setattr__(self, "burst", whole("Throttle burst", self.burst, 1, MOST))
        length_ms = to_ms("Throttle period", self.period, minimum_ms=SECOND_MS, maximum_ms=WEEK_MS)
        object.__setattr__(self, "period", timedelta(milliseconds=length_ms))
        object.__setattr__(self, "key", key_expression("Throttle key", self.key))

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        period_ms = to_ms("Throttle period", self.period)
        return {"limit": self.limit, "period_ms": period_ms, "burst": self.burst, "key": self.key}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most so many runs in any stretch of this length; what is too much starts none: `RateLimit(5, period="1h")`.

    What is dropped is counted and shown with its key; the event itself stays in the log.

    Args:
        limit: 1 to 10,000. Exactly so many start, if so many events come.
        period: 1 s to 24 hours, up to now: not a clock's hour.
        key: An expression over the event: each value has a limit of its own. Events for which it comes to nothing, or to
            `false`, are not limited.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        ExpressionError: `key` does not compile; the message points at the character.
    """

    limit: int
    period: Duration = field(kw_only=True)
    key: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", whole("RateLimit limit", self.limit, 1, RATE_MOST))
        length_ms = to_ms("RateLimit period", self.period, minimum_ms=SECOND_MS, maximum_ms=DAY_MS)
        object.__setattr__(self, "period", timedelta(milliseconds=length_ms))
        object.__setattr__(self, "key", key_expression("RateLimit key", self.key))

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        return {"limit": self.limit, "period_ms": to_ms("RateLimit period", self.period), "key": self.key}
