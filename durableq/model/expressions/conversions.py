"""Conversions from kind to kind, such as `int` and `timestamp`; and `type` and `size`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sized
from datetime import datetime
from typing import cast

from durableq.model.expressions.frame import Frame
from durableq.model.expressions.functions import Function, wrong_kind
from durableq.model.expressions.instants import from_seconds, in_utc, read_duration, read_timestamp, whole_seconds
from durableq.model.expressions.texts import text_of
from durableq.model.expressions.values import INT_MAX, INT_MIN, TYPE_NAMES, UINT_MAX, TypeName, Uint, Unknown, kind

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_DOUBLE = re.compile(
    r"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:e[+-]?[0-9]{1,6})?|[+-]?inf(?:inity)?|nan", re.IGNORECASE
)
_BOOLS = {
    **dict.fromkeys(("true", "True", "TRUE", "t", "1"), True),
    **dict.fromkeys(("false", "False", "FALSE", "f", "0"), False),
}


def _to_int(_: Frame, value: object) -> object:
    return _whole("int", value, INT_MIN, INT_MAX, int)


def _to_uint(_: Frame, value: object) -> object:
    return _whole("uint", value, 0, UINT_MAX, Uint)


def _whole(name: str, value: object, lowest: int, highest: int, make: Callable[[int], int]) -> object:
    """A whole number within bounds: a double loses its fraction, a string must be digits, a timestamp gives seconds."""
    match kind(value):
        case "int" | "uint":
            number = cast(int, value)
        case "double" if math.isfinite(cast(float, value)):
            number = math.trunc(cast(float, value))
        case "string":
            text = cast(str, value)
            if len(text) > 41 or _INTEGER.fullmatch(text) is None:
                return Unknown(f"{name}() cannot read the string")
            number = int(text)
        case "timestamp" if name == "int":
            number = whole_seconds(cast(datetime, value))
        case "double":
            return Unknown(f"{name}() does not take infinity or NaN")
        case _:
            return wrong_kind(name, value)
    if not lowest <= number <= highest:
        return Unknown(f"the result of {name}() is outside its 64 bits")
    return make(number)


def _to_double(_: Frame, value: object) -> object:
    word = kind(value)
    if word in ("int", "uint", "double"):
        try:
            return float(cast(float, value))
        except OverflowError:
            return Unknown("the result of double() is outside its range")
    if word != "string":
        return wrong_kind("double", value)
    text = cast(str, value)
    if len(text) > 1_000 or _DOUBLE.fullmatch(text) is None:
        return Unknown("double() cannot read the string")
    return float(text)


def _to_string(_: Frame, value: object) -> object:
    text = text_of(value)
    if text is None:
        return Unknown("string() needs UTF-8") if kind(value) == "bytes" else wrong_kind("string", value)
    return text


def _to_bytes(_: Frame, value: object) -> object:
    word = kind(value)
    if word == "bytes":
        return value
    if word != "string":
        return wrong_kind("bytes", value)
    try:
        return cast(str, value).encode()
    except UnicodeEncodeError:
        return Unknown("bytes() needs a string that UTF-8 can hold")


def _to_bool(_: Frame, value: object) -> object:
    word = kind(value)
    if word == "bool":
        return value
    if word != "string":
        return wrong_kind("bool", value)
    found = _BOOLS.get(cast(str, value))
    return Unknown("bool() cannot read the string") if found is None else found


def _to_timestamp(_: Frame, value: object) -> object:
    match kind(value):
        case "timestamp":
            return in_utc(cast(datetime, value))
        case "string":
            moment = read_timestamp(cast(str, value))
            return moment or Unknown(
                "timestamp() needs RFC 3339, such as '2027-01-31T09:00:00Z'; date() takes more forms"
            )
        case "int" | "uint":
            return from_seconds(cast(int, value)) or Unknown("timestamp() needs unix seconds; for event.ts use date()")
        case _:
            return wrong_kind("timestamp", value)


def _to_duration(_: Frame, value: object) -> object:
    word = kind(value)
    if word == "duration":
        return value
    if word != "string":
        return wrong_kind("duration", value)
    length = read_duration(cast(str, value))
    return Unknown("duration() needs a text such as '1h30m' or '250ms'") if length is None else length


def _type(_: Frame, value: object) -> object:
    name = TYPE_NAMES.get(kind(value))
    return wrong_kind("type", value) if name is None else TypeName(name)


def _dyn(_: Frame, value: object) -> object:
    return value


def _size(_: Frame, value: object) -> object:
    if kind(value) in ("string", "bytes", "list", "map"):
        return len(cast(Sized, value))
    return wrong_kind("size", value)


CONVERSIONS = (
    Function("int", _to_int, (1,)),
    Function("uint", _to_uint, (1,)),
    Function("double", _to_double, (1,)),
    Function("string", _to_string, (1,), units=30),
    Function("bytes", _to_bytes, (1,)),
    Function("bool", _to_bool, (1,)),
    Function("timestamp", _to_timestamp, (1,), units=30),
    Function("duration", _to_duration, (1,), units=30),
    Function("dyn", _dyn, (1,), takes_absent=True),
)
"""What turns one kind of value into another; the only functions that a restricted expression may call."""

INSPECTIONS = (
    Function("type", _type, (1,), takes_absent=True),
    Function("size", _size, (1,), (0,), when_absent=0),
)
