"""Times: what is read, what is printed, how they add up, and where `now()` comes from."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from durableq.model.expressions import compile_expression
from tests.model.expressions.samples import NOW_MS, compiled, evaluate, problem, same, value

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("timestamp('2020-01-01T00:00:00Z')", datetime(2020, 1, 1, tzinfo=UTC)),
        ("timestamp('2020-01-01t00:00:00z')", datetime(2020, 1, 1, tzinfo=UTC)),
        ("timestamp('2020-01-01T00:00:00.123456789Z')", datetime(2020, 1, 1, microsecond=123456, tzinfo=UTC)),
        ("timestamp('2020-01-01T00:00:00.5Z')", datetime(2020, 1, 1, microsecond=500_000, tzinfo=UTC)),
        ("timestamp('2020-01-01T00:00:00+01:30')", datetime(2019, 12, 31, 22, 30, tzinfo=UTC)),
        ("timestamp('2020-01-01T00:00:00-01:00')", datetime(2020, 1, 1, 1, tzinfo=UTC)),
        ("timestamp(1577836800)", datetime(2020, 1, 1, tzinfo=UTC)),
        ("timestamp(-1)", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("timestamp(timestamp(0)) == timestamp(0)", True),
        ("date(timestamp(0)) == timestamp(0)", True),
        ("duration(duration('1h'))", timedelta(hours=1)),
        ("date('2020-01-01')", datetime(2020, 1, 1, tzinfo=UTC)),
        ("date('2020-01-01T18:35:10')", datetime(2020, 1, 1, 18, 35, 10, tzinfo=UTC)),
        ("date('2020-01-01 18:35:10.5')", datetime(2020, 1, 1, 18, 35, 10, 500_000, tzinfo=UTC)),
        ("date('2020-01-01T00:00:00+01:00')", datetime(2019, 12, 31, 23, tzinfo=UTC)),
        ("date('Mon, 02 Jan 2006 15:04:05 GMT')", datetime(2006, 1, 2, 15, 4, 5, tzinfo=UTC)),
        ("date('Mon, 02 Jan 2006 15:04:05 -0700')", datetime(2006, 1, 2, 22, 4, 5, tzinfo=UTC)),
        ("date(1577836800)", datetime(2020, 1, 1, tzinfo=UTC)),
        ("date(1577836800000)", datetime(2020, 1, 1, tzinfo=UTC)),
        ("date(1577836800000000)", datetime(2020, 1, 1, tzinfo=UTC)),
        ("date(1577836800000000000)", datetime(2020, 1, 1, tzinfo=UTC)),
        ("date(1577836800000.0)", datetime(2020, 1, 1, tzinfo=UTC)),
        ("date(event.ts)", datetime.fromtimestamp(1719792000, UTC) + timedelta(milliseconds=1)),
        ("duration('1h30m')", timedelta(hours=1, minutes=30)),
        ("duration('-1.5s')", timedelta(seconds=-1.5)),
        ("duration('+250ms')", timedelta(milliseconds=250)),
        ("duration('.5s')", timedelta(milliseconds=500)),
        ("duration('1500us')", timedelta(microseconds=1500)),
        ("duration('1500µs')", timedelta(microseconds=1500)),
        ("duration('1500ns')", timedelta(microseconds=1)),
        ("duration('2d')", timedelta(days=2)),
        ("duration('1w')", timedelta(weeks=1)),
        ("duration('0')", timedelta()),
        ("date('2020-01-01T12:00:00') + duration('6h35m10s') == date('2020-01-01T18:35:10')", True),
        ("duration('1h') + timestamp(0)", datetime(1970, 1, 1, 1, tzinfo=UTC)),
        ("timestamp(0) - duration('1h')", datetime(1969, 12, 31, 23, tzinfo=UTC)),
        ("timestamp(3600) - timestamp(0)", timedelta(hours=1)),
        ("duration('1h') + duration('1m')", timedelta(minutes=61)),
        ("duration('1h') - duration('1m')", timedelta(minutes=59)),
        ("duration('1h') > duration('59m')", True),
        ("timestamp(0) < timestamp(1)", True),
        ("timestamp('2020-01-01T00:00:00Z') == timestamp('2020-01-01T01:00:00+01:00')", True),
        ("string(timestamp('2020-01-01T00:00:00.50Z'))", "2020-01-01T00:00:00.5Z"),
        ("string(timestamp('0001-01-01T00:00:00Z'))", "0001-01-01T00:00:00Z"),
        ("string(duration('1h0.25s'))", "3600.25s"),
        ("string(duration('-1.5s'))", "-1.5s"),
    ],
)
def test_time_is(source: str, expected: object) -> None:
    assert same(value(source), expected)


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("timestamp(event.data.x)", "2020-01-01"),
        ("timestamp(event.data.x)", "2020-01-01T00:00:00"),
        ("timestamp(event.data.x)", "2020-01-01 00:00:00Z"),
        ("timestamp(event.data.x)", "2020-02-30T00:00:00Z"),
        ("timestamp(event.data.x)", "2020-01-01T24:00:00Z"),
        ("timestamp(event.data.x)", "2020-01-01T00:00:00+24:00"),
        ("timestamp(event.data.x)", "0001-01-01T00:00:00+01:00"),
        ("timestamp(event.data.x)", "٢٠٢٠-01-01T00:00:00Z"),
        ("timestamp(event.data.x)", 10**12),
        ("timestamp(event.data.x)", 10**100),
        ("timestamp(event.data.x)", 1.5),
        ("date(event.data.x)", "tomorrow, perhaps"),
        ("date(event.data.x)", "1" * 100),
        ("date(event.data.x)", 10**30),
        ("date(event.data.x)", 1.5),
        ("date(event.data.x)", []),
        ("duration(event.data.x)", ""),
        ("duration(event.data.x)", "5"),
        ("duration(event.data.x)", "1h-1m"),
        ("duration(event.data.x)", "1 h"),
        ("duration(event.data.x)", "1e3s"),
        ("duration(event.data.x)", "999999999999999h"),
        ("duration(event.data.x)", 5),
        ("now_plus(event.data.x)", "soon"),
        ("now_plus(event.data.x)", "87600000h"),
        ("now_minus(event.data.x)", 5),
        ("timestamp('9999-12-31T23:59:59Z') + duration(event.data.x)", "1s"),
        ("timestamp('0001-01-01T00:00:00Z') - duration(event.data.x)", "1s"),
        ("timestamp(0).getHours(event.data.x)", "Nowhere/Town"),
        ("timestamp(0).getHours(event.data.x)", "../../etc/passwd"),
        ("timestamp(0).getHours(event.data.x)", "America"),
        ("timestamp(0).getHours(event.data.x)", "+24:00"),
        ("timestamp(0).getHours(event.data.x)", "x" * 10_000),
        ("timestamp(0).getHours(event.data.x)", 2),
        ("timestamp('9999-12-31T23:59:59Z').getHours(event.data.x)", "+02:00"),
        ("event.data.x.getHours()", "2020-01-01T00:00:00Z"),
        ("event.data.x.getFullYear()", timedelta(1)),
        ("duration('1h') * event.data.x", 2),
        ("timestamp(0) + event.data.x", 5),
    ],
)
def test_this_is_no_time(source: str, given: object) -> None:
    assert problem(source, x=given)


@pytest.mark.parametrize(
    ("getter", "expected"),
    [
        ("getFullYear()", 2024),
        ("getMonth()", 1),
        ("getDate()", 29),
        ("getDayOfMonth()", 28),
        ("getDayOfWeek()", 4),
        ("getDayOfYear()", 59),
        ("getHours()", 23),
        ("getMinutes()", 5),
        ("getSeconds()", 7),
        ("getMilliseconds()", 890),
        ("getHours('Europe/Zurich')", 0),
        ("getMonth('Europe/Zurich')", 2),
        ("getHours('+05:30')", 4),
        ("getMinutes('05:30')", 35),
        ("getHours('-02:00')", 21),
        ("getHours('UTC')", 23),
        ("getHours('')", 23),
    ],
)
def test_getters_count_as_in_cel(getter: str, expected: int) -> None:
    assert value(f"timestamp('2024-02-29T23:05:07.890Z').{getter}") == expected
    assert value(f"event.data.at.{getter}", at=datetime(2024, 2, 29, 23, 5, 7, 890_000, UTC)) == expected


def test_getters_of_a_duration_give_all_of_it_in_their_unit() -> None:
    assert value("duration('90m1.5s').getHours()") == 1
    assert value("duration('90m1.5s').getMinutes()") == 90
    assert value("duration('90m1.5s').getSeconds()") == 5401
    assert value("duration('90m1.5s').getMilliseconds()") == 5_401_500
    assert value("duration('-90m').getHours()") == -1


def test_now_is_the_callers_time() -> None:
    assert value("now()") == NOW
    assert value("now_plus('24h')") == NOW + timedelta(days=1)
    assert value("now_minus('1h')") == NOW - timedelta(hours=1)
    assert value("now_plus(duration('1h'))") == NOW + timedelta(hours=1)
    assert compiled("now() == timestamp('2001-09-09T01:46:40Z')").test({}, now_ms=10**12) is True
    assert compiled("now()").value({}, now_ms=0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert compiled("string(now())").key({}, now_ms=1) == "1970-01-01T00:00:00.001Z"


def test_now_is_the_hosts_time_where_the_caller_gives_none() -> None:
    before = time.time()
    found = compile_expression("now()").value({})
    assert isinstance(found, datetime)
    assert before - 1 < found.timestamp() < time.time() + 1


def test_all_now_of_one_evaluation_agree() -> None:
    assert compile_expression("now() == now() && now_plus('0s') == now()").test({})


def test_a_time_that_is_out_of_range_is_a_problem() -> None:
    for source in ("now()", "now_plus('1h')"):
        assert compiled(source).evaluate({}, now_ms=10**16).problem == "the time is outside the years 1 to 9999"
        assert compiled(source).evaluate({}, now_ms=10**400).problem is not None


def test_times_in_payloads_compare_by_moment_and_without_zone_are_utc() -> None:
    moment = datetime(2020, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    assert value("event.data.a == event.data.b", a=moment, b=datetime(2020, 1, 1, 11)) is True
    assert value("event.data.a < timestamp('2020-01-01T11:00:01Z')", a=moment) is True
    assert value("event.data.a - event.data.b", a=moment, b=datetime(2020, 1, 1, 11)) == timedelta()
    assert evaluate("event.data.a", {"event": {"data": {"a": moment}}}).key == "2020-01-01T11:00:00Z"
