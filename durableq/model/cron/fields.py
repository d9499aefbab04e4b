"""The five fields of a cron expression, read strictly: what crons disagree about is refused, with what to write instead."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from durableq.words.errors import ConfigError
from durableq.words.shown import shown

LAST_DAY: Final = 0
"""Stands for the month's last day, `L`, among the values of a day of the month."""


class Field(NamedTuple):
    """What one of the five may hold."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


MINUTE: Final = Field("minute", 0, 59)
HOUR: Final = Field("hour", 0, 23)
DAY: Final = Field("day of month", 1, 31)
MONTH: Final = Field(
    "month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
)
WEEKDAY: Final = Field("day of week", 0, 6, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
FIELDS: Final = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)

_ITEM = re.compile(r"(\*|[0-9]{1,4}|[A-Z]{3})(?:-([0-9]{1,4}|[A-Z]{3}))?(?:/([0-9]{1,4}))?\Z")
_HINTS: Final = (
    ("?", "'?' is another scheduler's: write '*'"),
    ("#", "'#' (the nth weekday) is not supported: start every week, and return early in the function"),
    ("W", "'W' (the nearest working day) is not supported: start every day, and return early in the function"),
    ("R", "'R' (random) is not supported: CronTrigger(…, jitter='30s') spreads ticks"),
    ("H", "'H' (hashed) is not supported: CronTrigger(…, jitter='30s') spreads ticks"),
    ("L", "'L' (the last day) stands alone in a list of days of the month, as in '0 9 L * *'"),
)


class Values(NamedTuple):
    """A field as read: which values it takes, and whether it begins with `*`, which cron gives a meaning."""

    field: Field
    star: bool
    values: frozenset[int]

    @property
    def full(self) -> bool:
        """Whether it takes every value."""
        return (
            len(self.values - {LAST_DAY} if self.field is DAY else self.values) == self.field.high - self.field.low + 1
        )

    def text(self) -> str:
        """The field in the plainest words, the same for all ways of writing it."""
        if self.full:
            return "*"
        return ",".join("L" if self.field is DAY and value == LAST_DAY else str(value) for value in sorted(self.values))


def read_field(field: Field, text: str) -> Values:
    """Raises ConfigError with the field, the rule and the value."""
    found: set[int] = set()
    items = text.split(",")
    for item in items:
        if item == "*" and len(items) > 1:
            raise _refused(field, text, "'*' takes every value already: leave the others out")
        found |= _read_item(field, item)
    return Values(field, text.startswith("*"), frozenset(found))


def _read_item(field: Field, item: str) -> set[int]:
    if item == "L" and field is DAY:
        return {LAST_DAY}
    parts = _ITEM.match(item)
    if parts is None or (parts[1] == "*" and parts[2]):
        raise _refused(field, item, _hint(field, item))
    low, high, step = parts[1], parts[2], parts[3]
    if low == "*":
        return set(range(field.low, field.high + 1, _step(field, item, step, field.high - field.low)))
    first = _value(field, item, low)
    if high is None:
        if step is not None:
            raise _refused(field, item, f"a step needs a range: write '{low}-{field.high}/{step}'")
        return {first % 7 if field is WEEKDAY else first}
    # A week may end on Sunday: 5-7 and FRI-SUN are Friday to Sunday.
    last = 7 if field is WEEKDAY and high == "SUN" else _value(field, item, high)
    if first == last or (field is WEEKDAY and low == "SUN" and last == 7):
        raise _refused(field, item, f"a range has two different ends: write '{low}', or '*' for every one")
    if first > last:
        wrapped = f"{low}-{field.high},{field.low}-{high}"
        raise _refused(field, item, f"a range goes upwards: write two, such as '{wrapped}'")
    taken = range(first, last + 1, _step(field, item, step, last - first))
    return {value % 7 for value in taken} if field is WEEKDAY else set(taken)


def _value(field: Field, item: str, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdigit():
        allowed = f"names are {', '.join(field.names)}" if field.names else "it takes numbers only"
        raise _refused(field, item, allowed)
    # Sunday is 0 and 7.
    high = 7 if field is WEEKDAY else field.high
    if not field.low <= int(text) <= high:
        raise _refused(field, item, f"it takes {field.low} to {high}")
    return int(text)


def _step(field: Field, item: str, text: str | None, longest: int) -> int:
    if text is None:
        return 1
    step = int(text)
    if not 1 <= step <= longest:
        raise _refused(field, item, f"a step here is 1 to {longest}, or it would come to one value only")
    return step


def _hint(field: Field, item: str) -> str:
    if any(name in item for name in field.names):
        return f"names have three letters: {', '.join(field.names)}"
    hints = (hint for letter, hint in _HINTS if letter in item)
    return next(hints, "write numbers, ranges such as 1-5, steps such as */15, or lists of them")


def _refused(field: Field, value: str, rule: str) -> ConfigError:
    return ConfigError(f"{field.name} {shown(value)}: {rule}")
