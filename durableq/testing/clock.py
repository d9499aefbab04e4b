"""The virtual clock: it stands still until somebody moves it, and never goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from durableq.words.errors import ConfigError
from durableq.words.periods import Duration, to_ms, when_ms

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS: Final = 946_684_800_000  # 2000-01-01
_LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01
_LONGEST_MS: Final = 100 * 366 * 86_400_000


class VirtualClock:
    """Time of one environment, for the server in it as for its worker. In ms since 1970."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    @property
    def now(self) -> datetime:
        """In UTC."""
        return _EPOCH + timedelta(milliseconds=self.now_ms)

    def move_to(self, at_ms: int) -> None:
        """Let it be that late, unless it is later."""
        self.now_ms = max(self.now_ms, at_ms)

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_ms(self) -> float:
        return float(self.now_ms)


def starting_ms(now: datetime | str | float) -> int:
    """The start that a test names. Raises ConfigError."""
    at_ms = when_ms("TestEnv now", now, _LATEST_MS)
    if not _EARLIEST_MS <= at_ms < _LATEST_MS:
        raise ConfigError(f"TestEnv now must be from 2000 to 2099, not {now!r}")
    return at_ms


def length_ms(what: str, duration: Duration) -> int:
    """A length of virtual time: at most a hundred years. Raises ConfigError."""
    return to_ms(what, duration, maximum_ms=_LONGEST_MS)
