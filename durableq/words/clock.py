"""Clocks. Redis owns time for everything that is stored; a process only estimates it between replies."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What is passed in wherever time is read, so that tests can move it."""

    def wall_ms(self) -> int:
        """Unix time in ms, as this host believes it."""
        ...

    def monotonic_ms(self) -> float:
        """Time in ms since some start, never going back."""
        ...


class SystemClock:
    """The host's clocks."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> float:
        return time.monotonic_ns() / 1_000_000


_SET_BACK_MS = 250


class ServerClock:
    """Estimates the server's time from its replies, so that waits of a run in hand fire by the server's clock.

    Every reply that carries the server's time was written before it arrived, so each gives a lower bound for the
    server's time now; the largest bound is the best estimate and is never ahead of the server. Old bounds fade by
    1 ms a second, which follows a clock that drifts. A bound far below the estimate is taken at once: the server's
    clock was set back, or another server answers, and waits must not fire early by it. If it was only a slow reply, the
    next prompt one lifts the estimate again, and waits were late by no more than that reply was.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms: float | None = None
        self._seen_at_ms = 0.0

    def saw(self, server_ms: int) -> None:
        """Take the time in a reply that has just arrived."""
        mono = self._clock.monotonic_ms()
        offset = server_ms - mono
        known = self._offset_ms
        if known is None or offset > known - (mono - self._seen_at_ms) / 1000 or offset < known - _SET_BACK_MS:
            self._offset_ms = offset
            self._seen_at_ms = mono

    def now_ms(self) -> int:
        """The server's time in ms, at most a reply's travel time behind it; this host's before the first reply."""
        if self._offset_ms is None:
            return self._clock.wall_ms()
        return int(self._clock.monotonic_ms() + self._offset_ms)
