"""A cron expression: five fields or a nickname, read strictly, and as croniter is given it.

Days. If day of month and day of week are both restricted, a day that fits either ticks, as in every cron; if one of them
begins with `*` (`*/2` too), a day must fit both. croniter decides this by other rules, which differ between its releases,
so it is given fields in which nothing is left to decide.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from croniter import CroniterBadDateError, croniter

from durableq.model.cron.fields import FIELDS, Values, read_field
from durableq.words.errors import ConfigError
from durableq.words.shown import shown

CRON_MAX: Final = 256
NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SOME_DAY = datetime(2024, 1, 1)


class CronExpression(NamedTuple):
    """What an expression means, in wall clock time; the zone is the schedule's matter."""

    plain: str
    """Five fields of numbers: equal for all ways of writing the same. Ends in `|` if days must fit both fields."""
    real_time: bool
    """Minute or hour begins with `*`, so that real time counts when the clock is changed."""
    minutes: tuple[int, ...]
    hours: tuple[int, ...]

    def after(self, local: datetime) -> Any:
        """croniter over wall clock times after this one, which has no zone: no change of the clock can confuse it."""
        both = self.plain.endswith("|")
        return croniter(self.plain.rstrip("|"), local, ret_type=datetime, day_or=not both, max_years_between_matches=50)

    def shortest_gap_min(self) -> int:
        """The minutes between two ticks that follow each other, at the least, but for changes of the clock."""
        times = sorted(hour * 60 + minute for hour in self.hours for minute in self.minutes)
        return min(later - earlier for earlier, later in zip(times, [*times[1:], times[0] + 1440], strict=True))


def read_expression(text: object) -> CronExpression:
    """Read five fields or a nickname. `text` has no zone in front any more.

    Raises:
        ConfigError: With the option, the rule and the value.
    """
    if not isinstance(text, str):
        raise ConfigError(f"CronTrigger cron must be a string such as '0 9 * * *', not {shown(text)}")
    if not 1 <= len(text) <= CRON_MAX:
        raise ConfigError(f"CronTrigger cron must have 1 to {CRON_MAX} characters, not {len(text)}: {shown(text)}")
    if not text.isascii() or "\0" in text:
        raise ConfigError(f"CronTrigger cron must be plain ASCII text: {shown(text)}")
    fields = _fields(text)
    try:
        minute, hour, day, month, weekday = (
            read_field(field, part) for field, part in zip(FIELDS, fields, strict=True)
        )
    except ConfigError as error:
        raise ConfigError(f"CronTrigger cron {shown(text)}: {error}") from None
    found = CronExpression(
        _plain(minute, hour, day, month, weekday),
        minute.star or hour.star,
        tuple(sorted(minute.values)),
        tuple(sorted(hour.values)),
    )
    try:
        found.after(_SOME_DAY).get_next()
    except CroniterBadDateError:
        raise ConfigError(f"CronTrigger cron {shown(text)}: no such date ever comes") from None
    return found


def _fields(text: str) -> list[str]:
    known = NICKNAMES.get(text.strip().lower())
    if known is not None:
        return known.split()
    if text.lstrip().startswith("@"):
        raise ConfigError(
            f"CronTrigger cron {shown(text)}: nicknames are {', '.join(NICKNAMES)}"
            + ("; for an interval write a step, such as '*/5 * * * *'" if "every" in text.lower() else "")
        )
    fields = text.upper().split()
    if len(fields) == 6:
        raise ConfigError(
            f"CronTrigger cron {shown(text)}: it has 6 fields, and there are no seconds: "
            "write minute, hour, day of month, month, day of week"
        )
    if len(fields) != 5:
        raise ConfigError(
            f"CronTrigger cron {shown(text)}: it must have 5 fields (minute, hour, day of month, month, day of week), "
            f"not {len(fields)}"
        )
    return fields


def _plain(minute: Values, hour: Values, day: Values, month: Values, weekday: Values) -> str:
    days, weekdays, both = day.text(), weekday.text(), day.star or weekday.star
    if not both and (day.full or weekday.full):
        days = weekdays = "*"  # either, and one of them is always true
    tail = "|" if both and "*" not in (days, weekdays) else ""
    return f"{minute.text()} {hour.text()} {days} {month.text()} {weekdays}{tail}"
