"""Durations and points in time."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import strategies as st

from durableq.words.errors import ConfigError
from durableq.words.periods import LONGEST_MS, format_ms, to_ms, when_ms
from tests.fuzz import fuzz, prompt
from tests.words.strategies import anything

HUGE = pytest.param(10**5000, id="huge")  # more digits than Python writes

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("value", "length_ms"),
    [
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("1w", 604_800_000),
        ("1h30m", 5_400_000),
        (" 1.5s ", 1_500),
        ("0.1ms", 1),
        ("0s", 0),
        (30, 30_000),
        (0.25, 250),
        (0.1 + 0.2, 300),  # a rounding error of the sum is no further millisecond
        (timedelta(minutes=1), 60_000),
        (timedelta(microseconds=1), 1),  # rounded up: nothing is early
        ("366d", LONGEST_MS),
    ],
)
def test_duration_is_read(value: Any, length_ms: int) -> None:
    assert to_ms("timeout", value) == length_ms


@pytest.mark.parametrize(
    "value",
    [
        *("", "5", "s", "5 m", "-5s", "1h-30m", "5x", "1e3s", "٣s", "1" * 70 + "s", "5s\n5s", "367d"),
        *(-1, True, None, [], math.nan, math.inf, -math.inf, 10**400, -(10**400), HUGE, 1e300),
        *(timedelta(days=367), timedelta(microseconds=-1000)),
    ],
)
def test_what_is_no_duration_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^timeout "):
        to_ms("timeout", value)


def test_bounds_are_named_with_the_value() -> None:
    with pytest.raises(ConfigError, match="timeout must be at least 1s and at most 7d, not '8d'"):
        to_ms("timeout", "8d", minimum_ms=1000, maximum_ms=604_800_000)


@pytest.mark.parametrize(
    ("value", "at_ms"),
    [
        (datetime(2027, 1, 15, 8, tzinfo=UTC), 1_800_000_000_000),
        (datetime(2027, 1, 15, 9, tzinfo=timezone(timedelta(hours=1))), 1_800_000_000_000),
        ("2027-01-15T08:00:00Z", 1_800_000_000_000),
        ("2027-01-15T08:00:00.0001+00:00", 1_800_000_000_001),
        (1_800_000_000, 1_800_000_000_000),
        (1_800_000_000.5, 1_800_000_000_500),
        (-(10**400), -(10**15)),
        (-math.inf, -(10**15)),
    ],
)
def test_point_in_time_is_read(value: Any, at_ms: int) -> None:
    assert when_ms("until", value, NOW_MS) == at_ms


class Nowhere(tzinfo):
    def utcoffset(self, at: datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    "value",
    [
        datetime(2027, 1, 15),
        datetime(2027, 1, 15, tzinfo=Nowhere()),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))),
        "2027-01-15T08:00:00",
        "tomorrow",
        "\ud800",
        "2027-01-15T08:00:00Z" + " " * 100_000,
        None,
        True,
        math.nan,
        math.inf,
        10**400,
        timedelta(1),
        1_800_000_000_000,  # milliseconds, where seconds are meant
    ],
)
def test_what_is_no_point_in_time_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^until "):
        when_ms("until", value, NOW_MS)


def test_earliest_datetime_is_past() -> None:
    assert when_ms("until", datetime.min.replace(tzinfo=timezone(timedelta(hours=23))), NOW_MS) < 0


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [(0, "0ms"), (350, "350ms"), (999.6, "1s"), (12_000, "12s"), (5_400_000, "1h30m"), (90_061_000, "1d1h")],
)
def test_length_is_shown_short(length_ms: float, text: str) -> None:
    assert format_ms(length_ms) == text


@fuzz(
    anything
    | st.text("0123456789.smhdw ", max_size=70)
    | st.from_regex(r"([0-9]{1,6}(ms|s|m|h|d|w)){1,4}", fullmatch=True)
)
def test_any_value_is_a_duration_or_a_config_error(value: Any) -> None:
    with prompt():
        try:
            length_ms = to_ms("timeout", value)
        except ConfigError:
            return
    assert 0 <= length_ms <= LONGEST_MS


@fuzz(anything | st.datetimes(timezones=st.just(UTC)).map(str))
def test_any_value_is_a_point_in_time_or_a_config_error(value: Any) -> None:
    with prompt():
        try:
            at_ms = when_ms("until", value, NOW_MS)
        except ConfigError:
            return
    assert at_ms <= NOW_MS + LONGEST_MS


@fuzz(st.integers(0, LONGEST_MS))
def test_every_form_of_a_length_gives_the_same(length_ms: int) -> None:
    assert to_ms("x", f"{length_ms}ms") == length_ms
    assert to_ms("x", timedelta(milliseconds=length_ms)) == length_ms
    assert to_ms("x", length_ms / 1000) == length_ms
