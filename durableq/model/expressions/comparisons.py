"""The comparison operators, and `in`.

A comparison with a constant is the commonest thing that expressions do, so it has closures of its own: one look at
the type decides, and everything unusual goes the general way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from durableq.model.expressions.access import lookup
from durableq.model.expressions.equality import equal
from durableq.model.expressions.frame import Closure, Frame
from durableq.model.expressions.instants import in_utc
from durableq.model.expressions.values import MISSING, NUMBERS, Unknown, adopt, is_absent, kind

Compare = Callable[[Any, Any], bool]

ORDERINGS: Mapping[str, Compare] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The ordering that says the same with its sides exchanged."""

_UNITS = 4  # comparing with one element takes up to half a microsecond
_ORDERED = frozenset({"string", "bool", "bytes", "timestamp", "duration"})


def order(compare: Compare, left: object, right: object) -> object:
    """Whether an ordering holds. Not where a side is missing or null; kinds without a common order are unknown."""
    if type(left) is Unknown:
        return left
    if type(right) is Unknown:
        return right
    if is_absent(left) or is_absent(right):
        return False
    left, right = adopt(left), adopt(right)
    left_kind, right_kind = kind(left), kind(right)
    if left_kind in NUMBERS and right_kind in NUMBERS:
        return compare(left, right)
    if left_kind != right_kind or left_kind not in _ORDERED:
        return Unknown(f"there is no order between {left_kind} and {right_kind}")
    if left_kind == "timestamp":
        return compare(in_utc(cast(datetime, left)), in_utc(cast(datetime, right)))
    return compare(left, right)


def build_ordering(symbol: str, left: Closure, right: Closure) -> Closure:
    """`left < right` and its kin."""
    compare = ORDERINGS[symbol]

    def ordered(frame: Frame) -> object:
        one, other = left(frame), right(frame)
        if type(one) is int and type(other) is int:
            return compare(one, other)
        return order(compare, one, other)

    return ordered


def build_ordering_with_number(symbol: str, operand: Closure, number: float) -> Closure:
    """`operand < number` and its kin."""
    compare = ORDERINGS[symbol]

    def ordered(frame: Frame) -> object:
        value = operand(frame)
        if type(value) is int or type(value) is float:
            return compare(value, number)
        return order(compare, value, number)

    return ordered


def build_equality(left: Closure, right: Closure, *, holds: bool) -> Closure:
    """`left == right`, or `!=` where `holds` is false."""

    def equality(frame: Frame) -> object:
        one, other = left(frame), right(frame)
        if type(one) is str and type(other) is str:
            return (one == other) is holds
        if type(one) is Unknown:
            return one
        if type(other) is Unknown:
            return other
        return equal(frame, one, other) is holds

    return equality


def build_equality_with_constant(operand: Closure, constant: object, *, holds: bool) -> Closure:
    """`operand == constant`, or `!=` where `holds` is false."""
    if constant is None:

        def is_null(frame: Frame) -> object:
            value = operand(frame)
            return value if type(value) is Unknown else (value is None or value is MISSING) is holds

        return is_null

    expected = type(constant)

    def equality(frame: Frame) -> object:
        value = operand(frame)
        if type(value) is expected:
            return (value == constant) is holds
        return value if type(value) is Unknown else equal(frame, value, constant) is holds

    return equality


def build_membership(item: Closure, container: Closure) -> Closure:
    """`item in container`: an equal element of a list, or a key of a map."""

    def membership(frame: Frame) -> object:
        value, holder = item(frame), container(frame)
        if type(value) is Unknown:
            return value
        if type(holder) is Unknown:
            return holder
        return _contains(frame, holder, value)

    return membership


def build_membership_of_texts(item: Closure, texts: frozenset[str]) -> Closure:
    """`item in ["a", "b"]`, where the list holds constant strings only."""

    def membership(frame: Frame) -> object:
        value = item(frame)
        if type(value) is str:
            return value in texts
        if type(value) is Unknown:
            return value
        value = adopt(value)
        return isinstance(value, str) and value in texts

    return membership


def _contains(frame: Frame, holder: object, value: object) -> object:
    if is_absent(holder) or value is MISSING:
        return False
    holder = adopt(holder)
    word = kind(holder)
    if word == "map":
        return lookup(cast("Mapping[object, object]", holder), adopt(value)) is not MISSING
    if word != "list":
        return Unknown(f"'in' needs a list or a map on its right, not {word}")
    items = cast("Sequence[object]", holder)
    frame.charge(_UNITS * len(items))
    if type(value) is str:
        return any(item == value if type(item) is str else equal(frame, value, item) for item in items)
    return any(equal(frame, value, item) for item in items)
