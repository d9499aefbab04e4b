"""Backoff: how long to wait after a failed attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from durableq.model.limits import Limits
from durableq.words.errors import ConfigError
from durableq.words.periods import Duration, to_ms
from durableq.words.shown import shown

_GROWTHS_MAX = 64  # any delay has met its maximum by then, and the largest float is still far
_NUMBERS = ("factor", "maximum_ms", "jitter", "jitter_ms")


def _check_number(option: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"backoff {option} must be a number from {low:g} to {high:g}, not {shown(value)}")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after a failed attempt. Made by `exponential`, `fixed` or `table`.

    After failed attempt n (0-based) the wait is `delays_ms[n]`; beyond the table it grows from the last entry by
    `factor`, up to `maximum_ms`. Jitter comes on top, so a wait is never shorter than it says.

    Raises:
        ConfigError: A figure is out of its range. The message names the option, the rule and the value.
    """

    delays_ms: tuple[int, ...]
    factor: float = 1.0
    maximum_ms: int = Limits.wait_ms
    jitter: float = 0.0
    """At most this fraction of the delay is added."""
    jitter_ms: int = 0
    """And at most this."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.delays_ms) <= Limits.retries:
            raise ConfigError(f"backoff table must have 1 to {Limits.retries} delays, not {len(self.delays_ms)}")
        for delay_ms in self.delays_ms:
            _check_number("delay in ms", delay_ms, 0, Limits.wait_ms)
        _check_number("factor", self.factor, 1, 100)
        _check_number("maximum in ms", self.maximum_ms, self.delays_ms[0], Limits.wait_ms)
        _check_number("jitter", self.jitter, 0, 1)
        _check_number("jitter in ms", self.jitter_ms, 0, Limits.wait_ms)

    @classmethod
    def exponential(cls, initial: Duration, maximum: Duration, factor: float = 2, jitter: float = 0.1) -> Backoff:
        """`initial`, then `factor` times the one before, up to `maximum`; plus up to `jitter` of it.

        Raises:
            ConfigError: `initial` is under 1 ms, `maximum` under `initial` or over 366 days, `factor` not 1 to 100, or
                `jitter` not 0 to 1.
        """
        initial_ms = to_ms("backoff initial", initial, minimum_ms=1)
        maximum_ms = to_ms("backoff maximum", maximum, minimum_ms=initial_ms)
        return cls((initial_ms,), factor, maximum_ms, jitter)

    @classmethod
    def fixed(cls, delay: Duration, jitter: float = 0.1) -> Backoff:
        """The same wait each time, plus up to `jitter` of it. A delay of 0 tries again at once.

        Raises:
            ConfigError: `delay` is not 0 to 366 days, or `jitter` not 0 to 1.
        """
        return cls((to_ms("backoff delay", delay),), jitter=jitter)

    @classmethod
    def table(cls, delays: Sequence[Duration], jitter: float = 0.1) -> Backoff:
        """One wait per failed attempt, the last one also for all that follow; plus up to `jitter` of it.

        Raises:
            ConfigError: `delays` has not 1 to 20 entries, one of them is not 0 to 366 days, or `jitter` not 0 to 1.
        """
        if isinstance(delays, (str, bytes)) or not isinstance(delays, Sequence):
            raise ConfigError(f"backoff table must be a list such as ['10s', '1m', '5m'], not {shown(delays)}")
        if len(delays) > Limits.retries:
            raise ConfigError(f"backoff table must have 1 to {Limits.retries} delays, not {len(delays)}")
        delays_ms = tuple(to_ms(f"backoff table[{index}]", delay) for index, delay in enumerate(delays))
        return cls(delays_ms, jitter=jitter)

    def delay_ms(self, attempt: int, chance: float) -> int:
        """The wait in ms after failed attempt `attempt` (0-based). `chance` is drawn evenly from 0 to 1."""
        beyond = attempt - len(self.delays_ms) + 1
        if beyond <= 0:
            delay = float(self.delays_ms[attempt])
        else:
            delay = self.delays_ms[-1] * self.factor ** min(beyond, _GROWTHS_MAX)
        delay = min(delay, self.maximum_ms)
        return min(int(delay + (delay * self.jitter + self.jitter_ms) * chance), Limits.wait_ms)

    def to_map(self) -> dict[str, Any]:
        """As the registry stores it."""
        return {
            "delays_ms": list(self.delays_ms),
            "factor": self.factor,
            "maximum_ms": self.maximum_ms,
            "jitter": self.jitter,
            "jitter_ms": self.jitter_ms,
        }

    @classmethod
    def from_map(cls, stored: Mapping[str, Any]) -> Backoff:
        """What `to_map` gave. Raises ConfigError for a map that it did not give."""
        try:
            return cls(tuple(stored["delays_ms"]), **{name: stored[name] for name in _NUMBERS})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"backoff cannot be read from {shown(stored)}: {error!r}") from None


DEFAULT_BACKOFF = Backoff(
    tuple(seconds * 1000 for seconds in (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)), jitter_ms=30_000
)
"""15 s, 30 s, 1 m, 2 m, 5 m, 10 m, 20 m, 40 m, 1 h, then 2 h each time, plus up to 30 s."""
