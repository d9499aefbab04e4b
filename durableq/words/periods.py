"""Durations: `timedelta`, a string such as "1h30m", or a number of seconds."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from durableq.words.errors import ConfigError
from durableq.words.shown import shown

Duration = timedelta | str | int | float

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(r"(?:[0-9]{1,15}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d|w))+\Z")
_TEXT_MAX = 64

_FAR_SECONDS = 10**12

LONGEST_MS = 366 * 86_400_000


def to_ms(what: str, value: Duration, *, minimum_ms: int = 0, maximum_ms: int = LONGEST_MS) -> int:
    """The length in ms, rounded up to a whole one so that nothing is early. `what` names the option in errors."""
    length_ms = _length_ms(what, value)
    if not math.isfinite(length_ms):
        raise ConfigError(f"{what} must be finite, not {shown(value)}")
    rounded = math.ceil(length_ms - 1e-6)
    if rounded < minimum_ms or rounded > maximum_ms:
        # Who comes from Inngest writes milliseconds.
        unit = " seconds" if rounded > maximum_ms and isinstance(value, (int, float)) else ""
        raise ConfigError(f"{what} must be {_range(minimum_ms, maximum_ms)}, not {shown(value)}{unit}")
    return rounded


def _length_ms(what: str, value: Duration) -> float:
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    if isinstance(value, bool):
        raise ConfigError(f"{what} must be a duration, not {shown(value)}")
    if isinstance(value, int):
        return value * 1000.0 if abs(value) < 10**15 else math.inf
    if isinstance(value, float):
        return value * 1000
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= _TEXT_MAX and _WHOLE.match(text):
            return sum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))
        raise ConfigError(
            f"{what} {shown(value)} is not a duration: write numbers with ms, s, m, h, d or w, such as '30s' or "
            "'1h30m', or pass seconds or a timedelta"
        )
    raise ConfigError(
        f"{what} must be a duration (timedelta, text such as '30s', or seconds), not {type(value).__name__}"
    )


def when_ms(what: str, value: object, now_ms: int) -> int:
    """A point in time in unix ms: an aware datetime, an ISO 8601 text with an offset, or unix seconds.

    `now_ms` bounds it: at most 366 days ahead. `what` names the option in errors.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value[:_TEXT_MAX])
        except ValueError:
            raise ConfigError(
                f"{what} {shown(value)} is not a time: write ISO 8601, such as '2027-01-31T09:00:00+01:00'"
            ) from None
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ConfigError(
                f"{what} {shown(value)} has no time zone: say which, for example value.replace(tzinfo=UTC)"
            )
        at_ms = math.ceil((value - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    elif not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
        raise ConfigError(f"{what} must be an aware datetime, ISO 8601 text or unix seconds, not {shown(value)}")
    else:
        # Compared before it is multiplied: an int may be too large for a float, and a float infinite.
        at_ms = math.ceil(min(max(value, -_FAR_SECONDS), _FAR_SECONDS) * 1000)
    if at_ms - now_ms > LONGEST_MS:
        raise ConfigError(f"{what} must be at most 366 days ahead, not {shown(value)}")
    return at_ms


def format_ms(length_ms: float) -> str:
    """A short human form: '350ms', '12s', '1h30m'."""
    if round(length_ms) < 1000:
        return f"{length_ms:.0f}ms"
    parts = []
    seconds = round(length_ms / 1000)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def _range(minimum_ms: int, maximum_ms: int) -> str:
    low = f"at least {format_ms(minimum_ms)}" if minimum_ms else "0 or more"
    return f"{low} and at most {format_ms(maximum_ms)}"
