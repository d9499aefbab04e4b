"""Whether two values are the same in value and in type, all the way down."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime, time
from typing import Any


def same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, (set, frozenset)):
        return len(left) == len(right) and all(any(same(a, b) for b in right) for a in left)
    if is_dataclass(left):
        return all(same(getattr(left, field.name), getattr(right, field.name)) for field in fields(left))
    if isinstance(left, (datetime, time)) and (left.utcoffset(), left.fold) != (right.utcoffset(), right.fold):
        return False
    return repr(left) == repr(right)  # which tells -0.0 from 0.0 and takes NaN for NaN
