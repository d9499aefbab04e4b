"""The operators `-`, `*`, `/`, `%` and unary minus, and `+` on numbers and times.

Ints and doubles mix, as doubles. An int result outside 64 bits is unknown, as is a division of ints by zero; ints
divide toward zero and a remainder has the sign of what is divided, as in C and Go. Doubles follow IEEE 754. A missing
or null operand makes the result missing.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import cast

from durableq.model.expressions.frame import Closure, Frame
from durableq.model.expressions.instants import bounded, in_utc, moved
from durableq.model.expressions.values import (
    INT_MAX,
    INT_MIN,
    MISSING,
    NUMBERS,
    UINT_MAX,
    Uint,
    Unknown,
    adopt,
    is_absent,
    kind,
)

_VERBS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "take the remainder of"}
_OUTSIDE = "the result is outside the 64 bits of {}"
_BY_ZERO = "division by zero"


def build_arithmetic(symbol: str, left: Closure, right: Closure) -> Closure:
    """`left - right` and its kin; `+` is a chain and lives in `sums.py`."""

    def compute(frame: Frame) -> object:
        one, other = left(frame), right(frame)
        if type(one) is Unknown:
            return one
        if type(other) is Unknown:
            return other
        if is_absent(one) or is_absent(other):
            return MISSING
        return compute_pair(symbol, one, other)

    return compute


def build_minus(operand: Closure) -> Closure:
    """`-operand`."""

    def minus(frame: Frame) -> object:
        value = operand(frame)
        if type(value) is Unknown:
            return value
        if is_absent(value):
            return MISSING
        value = adopt(value)
        word = kind(value)
        if word == "double":
            return -cast(float, value)
        if word == "int":
            return _fitting(-cast(int, value), unsigned=False)
        return Unknown(f"there is no negative of {word}")

    return minus


def compute_pair(symbol: str, left: object, right: object) -> object:
    """The result for two values that are neither unknown nor absent."""
    left, right = adopt(left), adopt(right)
    left_kind, right_kind = kind(left), kind(right)
    if left_kind in NUMBERS and right_kind in NUMBERS:
        if "double" in (left_kind, right_kind):
            return _of_doubles(symbol, cast(float, left), cast(float, right))
        return _of_integers(symbol, cast(int, left), cast(int, right), unsigned=left_kind == right_kind == "uint")
    rule = _TIME_RULES.get((left_kind, symbol, right_kind))
    if rule is None:
        return Unknown(f"cannot {_VERBS[symbol]} {left_kind} and {right_kind}")
    result = rule(left, right)
    return Unknown("the result is outside the range of times") if result is None else result


def _of_integers(symbol: str, left: int, right: int, *, unsigned: bool) -> object:
    # Wider operands come from payloads only. Refusing them keeps a product of huge numbers from being computed at all.
    if not (INT_MIN <= left <= UINT_MAX and INT_MIN <= right <= UINT_MAX):
        return Unknown(_OUTSIDE.format("an int"))
    if symbol in "/%":
        if right == 0:
            return Unknown(_BY_ZERO)
        quotient = abs(left) // abs(right)
        if (left < 0) is not (right < 0):
            quotient = -quotient
        fitted = _fitting(quotient, unsigned=unsigned)
        # A remainder whose quotient does not fit is refused as well: CEL does so for the lowest int and -1.
        if symbol == "/" or type(fitted) is Unknown:
            return fitted
        return _fitting(left - quotient * right, unsigned=unsigned)
    return _fitting(_PLAIN[symbol](left, right), unsigned=unsigned)


def _fitting(number: int, *, unsigned: bool) -> object:
    if unsigned:
        return Uint(number) if 0 <= number <= UINT_MAX else Unknown(_OUTSIDE.format("a uint"))
    return number if INT_MIN <= number <= INT_MAX else Unknown(_OUTSIDE.format("an int"))


_PLAIN: Mapping[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def _of_doubles(symbol: str, left: float, right: float) -> object:
    try:
        left, right = float(left), float(right)
    except OverflowError:
        return Unknown(_OUTSIDE.format("an int"))
    match symbol:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right if right else _divided_by_zero(left, right)
        case _:
            return math.fmod(left, right) if right and math.isfinite(left) else math.nan


def _divided_by_zero(left: float, zero: float) -> float:
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, zero)


def _plus_duration(moment: datetime, length: timedelta) -> datetime | None:
    return moved(in_utc(moment), length)


_TimeRule = Callable[..., datetime | timedelta | None]
_TIME_RULES: Mapping[tuple[str, str, str], _TimeRule] = {
    ("timestamp", "+", "duration"): _plus_duration,
    ("duration", "+", "timestamp"): lambda length, moment: _plus_duration(moment, length),
    ("timestamp", "-", "duration"): lambda moment, length: _plus_duration(moment, -length),
    ("timestamp", "-", "timestamp"): lambda one, other: bounded(in_utc(one) - in_utc(other)),
    ("duration", "+", "duration"): lambda one, other: bounded(one + other),
    ("duration", "-", "duration"): lambda one, other: bounded(one - other),
}
