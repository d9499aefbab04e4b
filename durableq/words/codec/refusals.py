"""Why a value cannot be stored, and where in it. Walks again what the quick path refused, so it may take its time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from inspect import isawaitable
from typing import Any, NoReturn
from uuid import UUID

from durableq.words.errors import CodecError
from durableq.words.shown import shown

# A base comes after its subclasses, so that a subclass of datetime is told about datetime.
_PLAIN = (bool, int, float, str, bytes, dict, list, tuple, set, frozenset)
_KNOWN = (*_PLAIN, datetime, date, time, timedelta, Decimal, UUID)
_SHOWN_MAX = 40


def refuse(value: Any, what: str, depth_max: int, pack: Callable[[Any], bytes], error: Exception) -> NoReturn:
    """Raise the CodecError that names the first member at fault; `error` is what the quick path met."""
    try:
        fault = _Search(depth_max, pack).in_value(value, [])
    except Exception as met:  # a container that another thread changes meanwhile, a type that cannot even be asked
        error, fault = met, None
    if fault is None:
        raise CodecError(f"{what} cannot be stored: {type(error).__name__}: {str(error)[:200]}") from None
    path = "".join(reversed(fault.steps))
    raise CodecError(f"{what}{_shortened(path)} {fault.reason}", path) from None


def key_step(key: object) -> str:
    """A map key as a path shows it: `.name`, or `['another key']`."""
    if isinstance(key, str) and key.isidentifier():
        return f".{key[:_SHOWN_MAX]}"
    return f"[{shown(key, _SHOWN_MAX)}]"


@dataclass(slots=True)
class _Fault:
    reason: str
    steps: list[str]  # innermost first


@dataclass(frozen=True, slots=True)
class _Search:
    depth_max: int
    pack: Callable[[Any], bytes]

    def in_value(self, value: Any, above: list[int]) -> _Fault | None:
        """The first fault in this value; `above` are the ids of the containers that it is in."""
        kind = type(value)
        if kind not in (dict, list, tuple, set, frozenset):
            reason = self.of_leaf(value)
            return _Fault(reason, []) if reason else None
        if id(value) in above:
            return _Fault(f"cannot be stored: this {kind.__name__} contains itself", [])
        if len(above) == self.depth_max:
            return _Fault(f"cannot be stored: it is nested deeper than {self.depth_max} levels", [])
        above.append(id(value))
        for step, member in _members(value):
            reason = self.of_key(step) if kind is dict else ""
            fault = _Fault(reason, []) if reason else self.in_value(member, above)
            if fault:
                if not reason:
                    fault.steps.append(key_step(step) if kind is dict else "{}" if step is None else f"[{step}]")
                return fault
        above.pop()
        return None

    def of_leaf(self, value: Any) -> str:
        """Why this one value cannot be stored, or "" when it can."""
        remedy = _remedy(value)
        if remedy:
            return f"is of type {type(value).__qualname__} and cannot be stored: {remedy}"
        try:
            self.pack(value)
        except UnicodeEncodeError:
            return (
                f"has a lone surrogate, {shown(value, _SHOWN_MAX)}: clean it with .encode('utf-8', 'replace').decode()"
            )
        except Exception as error:
            return f"is of type {type(value).__qualname__} and cannot be stored: {str(error)[:200]}"
        return ""

    def of_key(self, key: Any) -> str:
        """Why a map cannot have this key, or "" when it can."""
        if type(key) is not str:
            name = type(key).__qualname__
            return f"has the key {shown(key, _SHOWN_MAX)} of type {name}: keys must be str, write str(key)"
        reason = self.of_leaf(key)
        return f"has a key that {reason}" if reason else ""


def _members(value: Any) -> Iterable[tuple[Any, Any]]:
    """(key or index or None, member) of each member of a container."""
    if type(value) is dict:
        return value.items()
    if type(value) in (list, tuple):
        return enumerate(value)
    return ((None, member) for member in value)


def _remedy(value: Any) -> str:
    """What to do instead, or "" for a type that can be stored."""
    kind = type(value)
    if value is None or kind in _KNOWN:
        return ""
    if isinstance(value, Enum):
        return "return its .value, or annotate the callable's return type"
    if is_dataclass(kind) or hasattr(kind, "model_dump"):
        return "annotate the callable's return type, pass output_type=, or make it a dict"
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return "a named tuple would come back as a plain one, so return tuple(value), or a dataclass"
    if isinstance(value, (bytearray, memoryview)):
        return "return bytes(value)"
    for base in _KNOWN:
        if isinstance(value, base):
            return f"a subclass would come back as {base.__name__}, so return a plain {base.__name__}"
    if isinstance(value, BaseException):
        return "raise it, or return str(value)"
    if isawaitable(value):
        return "await it"
    if isinstance(value, Iterator):
        return "return list(value)"
    if hasattr(kind, "fileno") or hasattr(kind, "close"):
        return "it lives in this process only, so open it inside the step that uses it, and return what came of it"
    names = ", ".join(base.__name__ for base in _KNOWN)
    return f"return None, {names}, or a dataclass whose type the callable's return annotation names"


def _shortened(path: str) -> str:
    return path if len(path) <= 120 else f"{path[:60]}…{path[-40:]}"
