"""`+`, from left to right: adds numbers, joins strings, bytes and lists, moves times.

Once a string is met, every other scalar joins it as text. A term that is missing or null is left out, so
`event.data.a + "-" + event.data.b` always has a value. The whole chain is one closure, because keys are such chains
and joining once is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from durableq.model.expressions.arithmetic import compute_pair
from durableq.model.expressions.frame import BudgetExceeded, Closure, Frame
from durableq.model.expressions.limits import LIST_MAX, TEXT_MAX
from durableq.model.expressions.texts import text_of
from durableq.model.expressions.values import INT_MAX, INT_MIN, MISSING, Unknown, adopt, is_absent, kind


def build_sum(terms: Sequence[Closure]) -> Closure:
    """`term + term + ...`."""

    def total(frame: Frame) -> object:
        result: object = MISSING
        rest = iter(terms)
        for term in rest:
            value = term(frame)
            result = value if type(value) is str and result is MISSING else _add(frame, result, value)
            if type(result) is str:
                return _join(frame, result, rest)
            if type(result) is Unknown:
                return result
        return result

    return total


def _join(frame: Frame, first: str, rest: Iterator[Closure]) -> object:
    parts = [first]
    length = len(first)
    for term in rest:
        value = term(frame)
        if type(value) is not str:
            if type(value) is Unknown:
                return value
            if is_absent(value):
                continue
            text = text_of(value)
            if text is None:
                return Unknown(f"cannot add string and {kind(value)}")
            value = text
        length += len(value)
        parts.append(value)
    _claim(frame, length)
    return "".join(parts)


def _add(frame: Frame, left: object, right: object) -> object:
    if type(left) is int and type(right) is int:
        total = left + right
        if INT_MIN <= total <= INT_MAX:
            return total
    if type(right) is Unknown:
        return right
    if is_absent(left):
        return MISSING if right is None else adopt(right)
    if is_absent(right):
        return left
    left, right = adopt(left), adopt(right)
    left_kind, right_kind = kind(left), kind(right)
    if "string" in (left_kind, right_kind):
        return _join_pair(frame, left, right)
    if left_kind == right_kind == "bytes":
        _claim(frame, len(cast(bytes, left)) + len(cast(bytes, right)))
        return bytes(cast(bytes, left)) + bytes(cast(bytes, right))
    if left_kind == right_kind == "list":
        return _join_lists(frame, cast("Sequence[object]", left), cast("Sequence[object]", right))
    return compute_pair("+", left, right)


def _join_pair(frame: Frame, left: object, right: object) -> object:
    before, after = text_of(left), text_of(right)
    if before is None or after is None:
        return Unknown(f"cannot add {kind(left)} and {kind(right)}")
    _claim(frame, len(before) + len(after))
    return before + after


def _join_lists(frame: Frame, left: Sequence[object], right: Sequence[object]) -> list[object]:
    length = len(left) + len(right)
    if length > LIST_MAX:
        raise BudgetExceeded(f"it builds a list of more than {LIST_MAX:,} elements")
    frame.charge(1 + length // 16)
    return [*left, *right]


def _claim(frame: Frame, length: int) -> None:
    """Refuse or pay for a text of this length, before it is built."""
    if length > TEXT_MAX:
        raise BudgetExceeded(f"it builds a string of more than {TEXT_MAX:,} characters")
    if length >= 64:
        frame.charge(length >> 6)
