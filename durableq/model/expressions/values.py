"""The values that expressions compute with.

Plain Python values stand for themselves: None, bool, int, float, str, bytes, list, dict (any Mapping), datetime,
timedelta. Payloads from Python may hold values of further types; `adopt` makes one of those of them. A `TypeName` is
what `type(x)` gives. Two more are never seen outside this package:

- `MISSING`, what is read where a payload holds nothing. It is an ordinary value and behaves like null.
- `Unknown`, what cannot be computed (a division by zero, "a" < 1). It spreads through operators, as an error does in
  CEL, until `&&`, `||` or `?:` decides without it. An expression that ends unknown is false and has a problem to show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1


class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class Unknown:
    """What could not be computed. `reason` names the rule and the kinds of value, never a payload."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"Unknown({self.reason!r})"


class Uint(int):
    """An unsigned integer: written `1u` or made by `uint()`. Integers in payloads are ints, whatever their sign."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TypeName:
    """What `type(x)` gives, and what the names `int`, `string` and so on stand for."""

    name: str


TYPE_NAMES: Final[Mapping[str, str]] = {
    "null": "null_type",
    "missing": "null_type",
    "bool": "bool",
    "int": "int",
    "uint": "uint",
    "double": "double",
    "string": "string",
    "bytes": "bytes",
    "list": "list",
    "map": "map",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "type": "type",
}
"""From our word for a kind of value to its CEL type name."""

FOREIGN: Final = "unsupported value"
NUMBERS: Final = frozenset({"int", "uint", "double"})

_KINDS: Mapping[type, str] = {
    type(None): "null",
    Missing: "missing",
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    bytearray: "bytes",
    list: "list",
    tuple: "list",
    dict: "map",
    datetime: "timestamp",
    timedelta: "duration",
    TypeName: "type",
}
_SUBCLASSES: tuple[tuple[type, str], ...] = (
    (Mapping, "map"),
    (str, "string"),
    (int, "int"),
    (float, "double"),
    (bytes, "bytes"),
    (bytearray, "bytes"),
    (list, "list"),
    (tuple, "list"),
    (datetime, "timestamp"),
    (timedelta, "duration"),
)


def kind(value: object) -> str:
    """Our word for the kind of a value; `FOREIGN` for an object that expressions do not know."""
    known = _KINDS.get(type(value))
    if known is not None:
        return known
    for base, word in _SUBCLASSES:
        if isinstance(value, base):
            return word
    return FOREIGN


_ADOPTED: Mapping[type, Callable[[Any], object]] = {
    Decimal: float,
    UUID: str,
    date: date.isoformat,
    time: time.isoformat,
    set: list,
    frozenset: list,
}


def adopt(value: object) -> object:
    """A payload's value as a kind that expressions know, if it is of a type that only Python has: what JSON would hold.

    A `Decimal` counts as a double, a `UUID`, `date` or `time` as a string, a set as a list in no particular order.
    """
    convert = _ADOPTED.get(type(value))
    return value if convert is None else convert(value)


def is_absent(value: object) -> bool:
    """Whether the value is missing or null, which functions and `+` treat alike."""
    return value is None or value is MISSING


def is_truthy(value: object) -> bool:
    """Missing, null, false, "" and 0 are falsy, all else is truthy, an empty list too. Unknown is falsy."""
    if value is True:
        return True
    if value is False or value is None or value is MISSING:
        return False
    if isinstance(value, str):
        return str.__len__(value) > 0
    if isinstance(value, int | float):
        return float.__bool__(value) if isinstance(value, float) else int.__bool__(value)
    if type(value) is Decimal:
        return value != 0
    return type(value) is not Unknown
