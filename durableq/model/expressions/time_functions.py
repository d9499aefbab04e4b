"""Functions on times: `date`, `now`, `now_plus`, `now_minus`, and CEL's getters such as `getFullYear`.

The getters of a timestamp take a time zone, UTC where none is given. Those of a duration give its whole length in
their unit, as cel-go does. `getMonth`, `getDayOfMonth`, `getDayOfWeek` (Sunday is 0) and `getDayOfYear` count from 0,
`getDate` from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import cast

from durableq.model.expressions.frame import Frame
from durableq.model.expressions.functions import Function, wrong_kind
from durableq.model.expressions.instants import (
    from_seconds,
    from_unix,
    in_utc,
    moved,
    read_date,
    read_duration,
    read_zone,
)
from durableq.model.expressions.values import Unknown, kind

_ZONE_UNITS = 1_000  # an unknown zone from a payload costs a search through the zone files


def _date(_: Frame, value: object) -> object:
    match kind(value):
        case "timestamp":
            return in_utc(cast(datetime, value))
        case "string":
            return read_date(cast(str, value)) or Unknown("date() cannot read the string")
        case "int" | "uint":
            return from_unix(cast(int, value)) or Unknown("date() needs a unix time within the years 1 to 9999")
        case "double" if cast(float, value).is_integer():
            return from_unix(int(cast(float, value))) or Unknown("date() needs a unix time within the years 1 to 9999")
        case _:
            return wrong_kind("date", value)


def _now(frame: Frame) -> object:
    return from_seconds(frame.time_ms() / 1000) or Unknown("the time is outside the years 1 to 9999")


def _shifted_now(name: str, sign: int) -> Function:
    def prepare(_: Frame, length: object) -> object:
        word = kind(length)
        if word == "duration":
            return length
        if word != "string":
            return wrong_kind(name, length)
        read = read_duration(cast(str, length))
        return Unknown(f"{name}() needs a text such as '24h' or '1h30m'") if read is None else read

    def run(frame: Frame, length: object) -> object:
        moment, shift = _now(frame), prepare(frame, length)
        if not isinstance(moment, datetime):
            return moment
        if not isinstance(shift, timedelta):
            return shift
        return moved(moment, sign * shift) or Unknown("the result is outside the years 1 to 9999")

    return Function(name, run, (1,), same_each_time=False, units=30, prepares={0: prepare})


def _getter(
    name: str, of_timestamp: Callable[[datetime], int], of_duration: Callable[[timedelta], int] | None = None
) -> Function:
    def run(frame: Frame, value: object, zone: object = UTC) -> object:
        word = kind(value)
        if word == "duration" and of_duration is not None:
            return of_duration(cast(timedelta, value))
        if word != "timestamp":
            return wrong_kind(name, value)
        if not isinstance(zone, tzinfo):
            zone = _prepare_zone(frame, zone)
            if not isinstance(zone, tzinfo):
                return zone
        try:
            return of_timestamp(in_utc(cast(datetime, value)).astimezone(zone))
        except OverflowError:
            return Unknown("the local time is outside the years 1 to 9999")

    return Function(name, run, as_method=(0, 1), units=10, prepares={1: _prepare_zone})


def _prepare_zone(frame: Frame, zone: object) -> object:
    if kind(zone) != "string":
        return Unknown(f"a time zone is a string, not {kind(zone)}")
    frame.charge(_ZONE_UNITS)
    return read_zone(cast(str, zone)) or Unknown("there is no such time zone; write 'Area/City', 'UTC' or '+02:00'")


def _whole(length: timedelta, unit: timedelta) -> int:
    whole = abs(length) // unit
    return whole if length >= timedelta() else -whole


TIME_FUNCTIONS = (
    Function("date", _date, (1,), units=30),
    Function("now", _now, (0,), same_each_time=False),
    _shifted_now("now_plus", 1),
    _shifted_now("now_minus", -1),
    _getter("getFullYear", lambda moment: moment.year),
    _getter("getMonth", lambda moment: moment.month - 1),
    _getter("getDate", lambda moment: moment.day),
    _getter("getDayOfMonth", lambda moment: moment.day - 1),
    _getter("getDayOfWeek", lambda moment: moment.isoweekday() % 7),
    _getter("getDayOfYear", lambda moment: moment.timetuple().tm_yday - 1),
    _getter("getHours", lambda moment: moment.hour, lambda length: _whole(length, timedelta(hours=1))),
    _getter("getMinutes", lambda moment: moment.minute, lambda length: _whole(length, timedelta(minutes=1))),
    _getter("getSeconds", lambda moment: moment.second, lambda length: _whole(length, timedelta(seconds=1))),
    _getter(
        "getMilliseconds",
        lambda moment: moment.microsecond // 1000,
        lambda length: _whole(length, timedelta(milliseconds=1)),
    ),
)
