"""When an expression ticks in a zone, also on the days on which the clock is changed.

croniter knows wall clock times only, and no zone; what a change of the clock means is decided here, by Debian's rule.

- *Fixed* (neither minute nor hour begins with `*`): a time that the clock leaps over ticks at the next minute that there
  is; one that comes twice ticks the first time. Two times that come to the same instant are one tick.
- *Real time* (one of them begins with `*`): every minute that fits the clock on the wall ticks. Both hours of a repeated
  one do, and none is added for one that is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError

from durableq.model.cron.expression import CronExpression
from durableq.words.errors import ConfigError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)
_MS: Final = timedelta(milliseconds=1)
_HOUR_MS: Final = 3_600_000

FOLD_MAX: Final = timedelta(hours=3)
"""No clock is put back by more than this."""

LEFT_OUT_MAX: Final = 10_000
"""So many times in a row that the clock leaps over are an expression that never ticks in its zone."""


class Schedule:
    """An expression in a zone. All times are unix ms."""

    __slots__ = ("_expression", "_zone")

    def __init__(self, expression: CronExpression, zone: ZoneInfo) -> None:
        self._expression = expression
        self._zone = zone

    def ticks_after(self, after_ms: int) -> Iterator[int]:
        """Every tick after a point in time, in their order.

        Raises:
            ConfigError: There is none any more.
        """
        after = _EPOCH + after_ms * _MS
        ticks = self._real_time_after(after) if self._expression.real_time else self._fixed_after(after)
        last = after
        for tick in ticks:
            if tick > last:
                last = tick
                yield (tick - _EPOCH) // _MS

    def next_after(self, after_ms: int) -> int:
        """The first of `ticks_after`."""
        return next(self.ticks_after(after_ms))

    def newest(self, after_ms: int, upto_ms: int, count: int) -> list[int]:
        """The newest `count` ticks in (after, upto], oldest first, without walking through all of them."""
        back_ms = _HOUR_MS
        while True:
            start_ms = max(after_ms, upto_ms - back_ms)
            within = takewhile(lambda tick: tick <= upto_ms, self.ticks_after(start_ms))
            found = deque(within, maxlen=count)
            if len(found) == count or start_ms == after_ms:
                return list(found)
            back_ms *= 2

    def first(self, after_ms: int, upto_ms: int, count: int) -> list[int]:
        """The oldest `count` ticks in (after, upto]."""
        found: list[int] = []
        for tick in self.ticks_after(after_ms):
            if tick > upto_ms or len(found) == count:
                break
            found.append(tick)
        return found

    # Wall clock times have no zone here; instants are in UTC.

    def _fixed_after(self, after: datetime) -> Iterator[datetime]:
        for local in self._local_after(self._local(after)):
            there = local
            while not self._is(there, fold=0):
                there += _MINUTE
            yield there.replace(tzinfo=self._zone).astimezone(UTC)

    def _real_time_after(self, after: datetime) -> Iterator[datetime]:
        start = self._local(after)
        if self._clock_changes_near(after):
            start -= FOLD_MAX  # minutes that come again may have wall clock times before this one
        second_time: deque[datetime] = deque()
        left_out = 0
        for local in self._local_after(start):
            if not self._is(local, fold=0):
                left_out += 1
                if left_out > LEFT_OUT_MAX:
                    raise ConfigError(f"cron {self._expression.plain!r} never ticks in {self._zone.key}")
                continue
            left_out = 0
            here = local.replace(tzinfo=self._zone)
            first = here.astimezone(UTC)
            while second_time and second_time[0] < first:
                yield second_time.popleft()
            yield first
            again = here.replace(fold=1).astimezone(UTC)
            if again > first:
                second_time.append(again)

    def _local_after(self, local: datetime) -> Iterator[datetime]:
        times = self._expression.after(local)
        while True:
            try:
                yield times.get_next()
            except (CroniterBadDateError, OverflowError, ValueError):
                raise ConfigError(f"cron {self._expression.plain!r} has no tick after {local:%Y-%m-%d}") from None

    def _local(self, instant: datetime) -> datetime:
        return instant.astimezone(self._zone).replace(tzinfo=None)

    def _is(self, local: datetime, fold: int) -> bool:
        """Whether the clock on the wall ever shows this time."""
        return self._local(local.replace(tzinfo=self._zone, fold=fold).astimezone(UTC)) == local

    def _clock_changes_near(self, instant: datetime) -> bool:
        around = (instant - FOLD_MAX, instant, instant + FOLD_MAX)
        return len({time.astimezone(self._zone).utcoffset() for time in around}) > 1
