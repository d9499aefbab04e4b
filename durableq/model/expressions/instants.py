"""Timestamps, durations and time zones: from text, to text, within their range.

A timestamp is an aware `datetime`, a duration a `timedelta`: microseconds, where CEL has nanoseconds. Finer digits
are cut off.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXT_MAX = 64

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)([Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?)?", re.ASCII)
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d\d)", re.ASCII)
_DURATION = re.compile(r"([+-]?)((?:(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:ns|us|µs|μs|ms|s|m|h|d|w))+)", re.ASCII)
_DURATION_PART = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h|d|w)", re.ASCII)
_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
_DURATION_MAX = timedelta(seconds=315_576_000_000)  # CEL's bound, about 10,000 years


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC; one without a zone is taken to be UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def from_seconds(seconds: float) -> datetime | None:
    """The timestamp at so many seconds of unix time; None outside the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def from_unix(number: int) -> datetime | None:
    """The timestamp for a unix time in s, ms, us or ns; its size tells which, for times from 2001 to 2286."""
    size = abs(number)
    if size < 10**10:
        return from_seconds(number)
    for limit, per_second in ((10**13, 10**3), (10**16, 10**6), (10**19, 10**9)):
        if size < limit:
            return moved(_EPOCH, timedelta(microseconds=number * 10**6 // per_second))
    return None


def moved(moment: datetime, by: timedelta) -> datetime | None:
    """A timestamp later by a duration; None outside the years 1 to 9999."""
    try:
        return moment + by
    except OverflowError:
        return None


def whole_seconds(moment: datetime) -> int:
    """Unix time in s, rounded down."""
    return (in_utc(moment) - _EPOCH) // timedelta(seconds=1)


def bounded(length: timedelta) -> timedelta | None:
    """The duration, if it is within CEL's range."""
    return length if -_DURATION_MAX <= length <= _DURATION_MAX else None


def read_timestamp(text: str) -> datetime | None:
    """RFC 3339 with an offset, as `timestamp()` takes it."""
    match = _RFC3339.fullmatch(text) if len(text) <= _TEXT_MAX else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    if offset >= timedelta(days=1):
        return None
    microsecond = int((fraction or "")[:6].ljust(6, "0"))
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, tzinfo=UTC)
    except ValueError:
        return None
    return moved(local, offset if sign == "-" else -offset)


def read_date(text: str) -> datetime | None:
    """RFC 3339, the same without offset or without time (then UTC), or a date as in mail and HTTP."""
    if len(text) > _TEXT_MAX:
        return None
    match = _LOCAL.fullmatch(text)
    if match is not None:
        return read_timestamp(f"{match[1]}T{(match[2] or ' 00:00:00')[1:]}Z")
    exact = read_timestamp(text)
    if exact is not None or "," not in text:
        return exact
    try:
        return in_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


@lru_cache(maxsize=256)
def read_duration(text: str) -> timedelta | None:
    """Go's durations, such as "1h30m", "-1.5s", "250ms", and days and weeks besides; "0" needs no unit."""
    if text in ("0", "+0", "-0"):
        return timedelta()
    match = _DURATION.fullmatch(text) if len(text) <= _TEXT_MAX else None
    if match is None:
        return None
    total_ns = 0
    for whole, fraction, unit in _DURATION_PART.findall(match[2]):
        total_ns += int(whole or 0) * _UNIT_NS[unit]
        if fraction:
            total_ns += int(fraction) * _UNIT_NS[unit] // 10 ** len(fraction)
    try:
        length = timedelta(microseconds=total_ns // 1_000)
    except OverflowError:
        return None
    return bounded(-length if match[1] == "-" else length)


@lru_cache(maxsize=256)
def read_zone(name: str) -> tzinfo | None:
    """A time zone: "Europe/Berlin", "UTC", or an offset such as "+05:30" or "02:00"."""
    if len(name) > _TEXT_MAX:
        return None
    match = _OFFSET.fullmatch(name)
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        if offset >= timedelta(days=1):
            return None
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name or "UTC")
    except (LookupError, ValueError, OSError):
        return None


def timestamp_text(moment: datetime) -> str:
    """RFC 3339 in UTC, with as many digits of the second as are not zero."""
    utc = in_utc(moment)
    return utc.strftime("%Y").rjust(4, "0") + utc.strftime("-%m-%dT%H:%M:%S") + _fraction(utc.microsecond) + "Z"


def duration_text(length: timedelta) -> str:
    """Seconds, such as "5400s" or "-1.5s"."""
    seconds, microseconds = divmod(abs(length) // _MICROSECOND, 1_000_000)
    return f"{'-' if length < timedelta() else ''}{seconds}{_fraction(microseconds)}s"


def _fraction(microseconds: int) -> str:
    return f".{microseconds:06d}".rstrip("0") if microseconds else ""
