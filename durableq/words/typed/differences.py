"""Whether a value came back as it went. What would change on the way is refused rather than changed silently."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from durableq.words.typed.models import is_model
from durableq.words.typed.shape import Mismatch, step


def refuse_difference(before: Any, after: Any) -> None:
    """Raise Mismatch where `after` is not what `before` was: another type, other fields, another value."""
    kind = type(before)
    if type(after) is not kind:
        raise Mismatch(
            f"is of type {kind.__qualname__} and would come back as {type(after).__qualname__}: "
            "annotate the callable with what it returns"
        )
    if kind is dict:
        _same_keys(before, after)
        for key in before:
            _compare(f"[{key!r:.40}]", before[key], after[key])
    elif kind in (list, tuple):
        for index in range(max(len(before), len(after))):
            _compare(f"[{index}]", before[index], after[index])
    elif is_model(kind):
        _compare_maps(before.__dict__, after.__dict__)
        _compare_maps(
            getattr(before, "__pydantic_extra__", None) or {}, getattr(after, "__pydantic_extra__", None) or {}
        )
    elif is_dataclass(kind):
        for field in fields(before):
            _compare(f".{field.name}", getattr(before, field.name, None), getattr(after, field.name, None))
    elif not _equal(before, after):
        raise Mismatch(f"is {before!r:.60} and would come back as {after!r:.60}")


def _compare(name: str, before: Any, after: Any) -> None:
    step(name, lambda member: refuse_difference(member, after), before)


def _compare_maps(before: dict[str, Any], after: dict[str, Any]) -> None:
    _same_keys(before, after)
    for name, member in before.items():
        _compare(f".{name}", member, after[name])


def _same_keys(before: dict[Any, Any], after: dict[Any, Any]) -> None:
    if before.keys() != after.keys():
        changed = sorted(map(str, before.keys() ^ after.keys()))
        raise Mismatch(f"would come back with other keys: {', '.join(changed)[:80]}")


def _equal(before: Any, after: Any) -> bool:
    if getattr(type(before), "__eq__", None) is object.__eq__:
        return True  # compared by identity, so there is nothing to compare
    try:
        return bool(before == after) or (before != before and after != after)  # the latter: NaN
    except Exception:
        return repr(before) == repr(after)  # a signalling NaN refuses to be compared
