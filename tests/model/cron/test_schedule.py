"""When an expression ticks: against a brute-force oracle and cronsim, over days on which the clock is changed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import strategies as st

from durableq.model.cron import Schedule, read_expression
from durableq.words.errors import ConfigError
from tests.fuzz import fuzz, prompt
from tests.model.cron import oracle
from tests.model.cron.strategies import expressions

ZONES = (
    "Europe/Paris", "Europe/London", "America/New_York", "America/Santiago", "America/Havana", "Australia/Sydney",
    "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut", "Asia/Gaza", "Antarctica/Troll",
    "Atlantic/Azores", "Pacific/Auckland", "Pacific/Chatham", "America/St_Johns",
)  # fmt: skip
FIRST, LAST = date(2026, 1, 1), date(2028, 12, 31)

FIXED = (
    "30 2 * * *", "0 2 * * *", "0 3 * * *", "30 1 * * *", "0 0 * * *", "15,45 1-3 * * *", "0 2,3 * * *", "59 1 * * *",
    "5-55/10 0-4 * * *", "30 2 * * 0", "30 2 29 3 *", "30 23 L * *", "0 0 L,1 * 1-5",
)  # fmt: skip
REAL = (
    "* * * * *", "*/30 * * * *", "*/20 2 * * *", "0 * * * *", "30 * * * *", "*/15 1-3 * * *", "15,45 */2 * * *",
    "0 */1 * * 0", "* 2 * * *", "*/7 0-4 */2 * *", "*/30 2 * * */2",
)  # fmt: skip


def schedule(expression: str, zone: str = "UTC") -> Schedule:
    return Schedule(read_expression(expression), ZoneInfo(zone))


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def between(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    found = schedule(expression, zone).first(ms(start), ms(end), 10**6)
    return [datetime.fromtimestamp(tick / 1000, UTC) for tick in found]


def changes(zone: str) -> Iterator[datetime]:
    found = oracle.clock_changes(zone, FIRST, LAST)
    assert len(found) >= 6, f"{zone} changes its clock twice a year"
    return islice(iter(found), 2)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", FIXED + REAL)
def test_around_a_change_of_the_clock_every_tick_is_the_oracles(expression: str, zone: str) -> None:
    for change in changes(zone):
        start, end = change - timedelta(hours=14), change + timedelta(hours=14)
        assert between(expression, zone, start, end) == oracle.ticks(expression, zone, start, end), change


@pytest.mark.parametrize("zone", ZONES[::3])
@pytest.mark.parametrize("expression", FIXED + REAL)
def test_wherever_one_begins_near_a_change_the_next_tick_is_the_same(expression: str, zone: str) -> None:
    """A schedule remembers nothing between two ticks: computed afresh each time, they are those of one walk."""
    known = schedule(expression, zone)
    for change in changes(zone):
        start, end = change - timedelta(hours=4), change + timedelta(hours=4)
        wanted = oracle.ticks(expression, zone, start, end)
        for minute in range(0, 8 * 60, 13):
            at = start + timedelta(minutes=minute, seconds=minute % 60)
            following = next((tick for tick in wanted if tick > at), None)
            if following is None:
                assert known.next_after(ms(at)) > ms(end), at
            else:
                assert known.next_after(ms(at)) == ms(following), at


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", FIXED)
def test_fixed_times_tick_as_debians_cron_by_cronsim(expression: str, zone: str) -> None:
    for change in changes(zone):
        start = (change - timedelta(hours=30)).astimezone(ZoneInfo(zone))
        simulated = CronSim(expression, start)
        wanted: list[datetime] = []
        while len(wanted) < 12:
            tick = next(simulated).astimezone(UTC)
            if tick not in wanted:  # cronsim gives 02:30, moved to 03:00, and 03:00 as two
                wanted.append(tick)
        found = [
            datetime.fromtimestamp(tick / 1000, UTC)
            for tick in islice(schedule(expression, zone).ticks_after(ms(start)), 12)
        ]
        assert found == wanted, change


@pytest.mark.parametrize(
    ("expression", "day", "wanted"),
    [
        ("30 2 * * *", date(2026, 3, 29), ["03:00+02:00"]),  # left out: at the next minute that there is
        ("30 2 * * *", date(2026, 10, 25), ["02:30+02:00"]),  # twice: the first time
        ("*/30 2 * * *", date(2026, 3, 29), []),
        ("*/30 2 * * *", date(2026, 10, 25), ["02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00"]),
        ("15,45 2 * * *", date(2026, 3, 29), ["03:00+02:00"]),  # two at one instant are one
        ("0 2,3 * * *", date(2026, 3, 29), ["03:00+02:00"]),
        ("0 */12 * * *", date(2026, 10, 25), ["00:00+02:00", "12:00+01:00"]),
    ],
)
def test_paris_on_the_days_of_the_change(expression: str, day: date, wanted: list[str]) -> None:
    zone = ZoneInfo("Europe/Paris")
    start = datetime(day.year, day.month, day.day, tzinfo=zone) - timedelta(seconds=1)
    found = between(expression, "Europe/Paris", start, start + timedelta(days=1))
    assert [tick.astimezone(zone).isoformat()[11:].replace(":00+", "+") for tick in found] == wanted


@fuzz(expressions(), st.sampled_from(["UTC", *ZONES]), st.integers(0, 10**6))
def test_any_expression_ticks_when_the_oracle_says(expression: str, zone: str, minute: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    end = start + timedelta(hours=50)
    wanted = oracle.ticks(expression, zone, start, end)
    try:
        found = between(expression, zone, start, end)
    except ConfigError:  # no such date ever comes
        found = []
    assert found == wanted


@fuzz(expressions())
def test_any_expression_ticks_in_a_year_as_cronsim_says(expression: str) -> None:
    """Dates over a long time, which the oracle is too slow for."""
    start = datetime(2026, 5, 17, 11, 1, tzinfo=UTC)
    try:
        known = schedule(expression)
    except ConfigError:
        return
    first = datetime.fromtimestamp(known.next_after(ms(start)) / 1000, UTC)
    assert first == next(CronSim(expression, start))
    days = islice(known.ticks_after(ms(start)), 40)
    assert [datetime.fromtimestamp(tick / 1000, UTC) for tick in days] == list(islice(CronSim(expression, start), 40))


def test_the_newest_are_the_last_of_all() -> None:
    rng = random.Random(7)
    for expression, days in (("* * * * *", 2), ("0 9 * * *", 40), ("*/7 3 * * 1", 40), ("0 0 1 * *", 400)):
        known, start = schedule(expression, "Europe/Paris"), ms(datetime(2026, 3, 28, 23, 59, tzinfo=UTC))
        for _ in range(10):
            end = start + rng.randrange(days * 86_400_000)
            count = rng.choice([1, 5, 100])
            assert known.newest(start, end, count) == known.first(start, end, 10**6)[-count:]


def test_after_years_the_newest_are_found_at_once() -> None:
    known = schedule("* * * * *", "Europe/Paris")
    end = ms(datetime(2036, 1, 1, tzinfo=UTC))
    with prompt(0.3):
        found = known.newest(ms(datetime(2026, 1, 1, tzinfo=UTC)), end, 1000)
    assert found == [end - minute * 60_000 for minute in range(999, -1, -1)]


def test_the_29th_of_february_comes_though_rarely() -> None:
    known = schedule("0 0 29 2 *")
    assert known.next_after(ms(datetime(2096, 3, 1, tzinfo=UTC))) == ms(datetime(2104, 2, 29, tzinfo=UTC))


def test_a_time_that_the_clock_always_leaps_over_is_found_out() -> None:
    known = schedule("*/20 2 29 3 *", "Europe/Paris")
    assert known.next_after(ms(datetime(2026, 1, 1, tzinfo=UTC))) == ms(datetime(2027, 3, 29, 0, 0, tzinfo=UTC))
