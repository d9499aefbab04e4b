"""A second opinion on when an expression ticks, as slow and as plain as can be: every minute is looked at, one by one.

It reads expressions with a parser of its own, written for what strategies.py generates, and shares no code with the package.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

LOW_HIGH = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def ticks(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Every tick in (start, end], in UTC. Both are aware, and on whole minutes."""
    texts = expression.split()
    values = [_values(text, low, high) for text, (low, high) in zip(texts, LOW_HIGH, strict=True)]
    if texts[0].startswith("*") or texts[1].startswith("*"):
        return _real_time(texts, values, ZoneInfo(zone), start, end)
    return _fixed(texts, values, ZoneInfo(zone), start, end)


@lru_cache(maxsize=16)
def _minutes(zone: ZoneInfo, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Each minute of [start, end], and what the clock on the wall shows then."""
    count = (end - start) // timedelta(minutes=1) + 1
    instants = [start + timedelta(minutes=number) for number in range(count)]
    return [(at, at.astimezone(zone).replace(tzinfo=None)) for at in instants]


def _real_time(
    texts: list[str], values: list[set[int]], zone: ZoneInfo, start: datetime, end: datetime
) -> list[datetime]:
    """Each minute that the clock on the wall fits."""
    return [at for at, local in _minutes(zone, start, end)[1:] if _fits(texts, values, local)]


def _fixed(texts: list[str], values: list[set[int]], zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Each wall clock minute that fits: the first instant that shows it, or else the first that shows a later one."""
    shown: dict[datetime, datetime] = {}
    for at, local in _minutes(zone, start - timedelta(hours=4), end + timedelta(hours=4)):
        shown.setdefault(local, at)
    instants, local, last = set(), min(shown), max(shown)
    while local <= last:
        if _fits(texts, values, local):
            there = local
            while there not in shown:
                there += timedelta(minutes=1)
            instants.add(shown[there])
        local += timedelta(minutes=1)
    return sorted(at for at in instants if start < at <= end)


def _fits(texts: list[str], values: list[set[int]], local: datetime) -> bool:
    day_of_week = (local.weekday() + 1) % 7
    last = (local + timedelta(days=1)).day == 1
    day = local.day in values[2] or (last and "L" in texts[2])
    weekday = day_of_week in values[4] or (day_of_week == 0 and 7 in values[4])
    both = texts[2].startswith("*") or texts[4].startswith("*")
    return (
        local.minute in values[0]
        and local.hour in values[1]
        and local.month in values[3]
        and ((day and weekday) if both else (day or weekday))
    )


def _values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        ends, _, step = item.partition("/")
        first, _, last = ends.partition("-")
        if first == "L":
            continue
        if first == "*":
            found |= set(range(low, high + 1, int(step or 1)))
        else:
            found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


def clock_changes(zone: str, first: date, last: date) -> list[datetime]:
    """The instants, in UTC and to the minute, from which on the clock of a zone is another one."""
    found = []
    here = ZoneInfo(zone)
    at = datetime(first.year, first.month, first.day, tzinfo=UTC)
    while at.date() <= last:
        if at.astimezone(here).utcoffset() != (at + timedelta(hours=6)).astimezone(here).utcoffset():
            low, high = at, at + timedelta(hours=6)
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) // 2
                middle -= timedelta(seconds=middle.second, microseconds=middle.microsecond)
                if middle.astimezone(here).utcoffset() == at.astimezone(here).utcoffset():
                    low = middle
                else:
                    high = middle
            found.append(high)
        at += timedelta(hours=6)
    return found
