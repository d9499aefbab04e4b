"""Values as text: what `string()`, `+` and keys print. Equal numbers print alike, so 42 and 42.0 give the same key."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import cast

from durableq.model.expressions.instants import duration_text, timestamp_text
from durableq.model.expressions.values import INT_MIN, UINT_MAX, TypeName, adopt, kind

_WHOLE_MAX = 1e21  # from here on a double prints with an exponent, as in JavaScript


def text_of(value: object) -> str | None:
    """A scalar as text; None for lists, maps, null, missing, foreign objects, and bytes that are not UTF-8."""
    if type(value) is str:
        return value
    if type(value) is int:
        return integer_text(value)
    value = adopt(value)
    match kind(value):
        case "string":
            return str.__str__(cast(str, value))
        case "int" | "uint":
            return integer_text(cast(int, value))
        case "double":
            return double_text(float(cast(float, value)))
        case "bool":
            return "true" if value else "false"
        case "bytes":
            try:
                return bytes(cast(bytes, value)).decode()
            except UnicodeDecodeError:
                return None
        case "timestamp":
            return timestamp_text(cast(datetime, value))
        case "duration":
            return duration_text(cast(timedelta, value))
        case "type":
            return cast(TypeName, value).name
        case _:
            return None


def integer_text(number: int) -> str:
    """Decimal digits. Beyond 64 bits an int prints as the double next to it: other languages never saw it otherwise."""
    if INT_MIN <= number <= UINT_MAX:
        return int.__repr__(number)
    try:
        return double_text(float(number))
    except OverflowError:
        return "+Inf" if number > 0 else "-Inf"


def double_text(number: float) -> str:
    """The shortest digits that read back the same, without ".0"."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if number.is_integer() and abs(number) < _WHOLE_MAX:
        return str(int(number))
    return repr(number)
