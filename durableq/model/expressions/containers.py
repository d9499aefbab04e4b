"""List and map literals."""

from __future__ import annotations

from collections.abc import Sequence

from durableq.model.expressions.compilation import Compilation
from durableq.model.expressions.frame import Closure, Frame
from durableq.model.expressions.nodes import Literal, Node
from durableq.model.expressions.values import MISSING, Unknown, adopt, kind

_KEYS = frozenset({"string", "int", "uint", "bool"})
_BAD_KEY = "the key of a map is a string, an int, a uint or a bool, not {}"
_TWICE = "the map has this key twice"


def build_list(items: Sequence[Closure]) -> Closure:
    """`[items]`. A missing item is null."""

    def make(frame: Frame) -> object:
        values: list[object] = []
        for item in items:
            value = item(frame)
            if type(value) is Unknown:
                return value
            values.append(None if value is MISSING else value)
        return values

    return make


def build_map(entries: Sequence[tuple[Closure, Closure]]) -> Closure:
    """`{key: value}`. A missing value is null."""

    def make(frame: Frame) -> object:
        values: dict[object, object] = {}
        for key, value in entries:
            name, content = adopt(key(frame)), value(frame)
            if type(name) is Unknown:
                return name
            if type(content) is Unknown:
                return content
            if kind(name) not in _KEYS:
                return Unknown(_BAD_KEY.format(kind(name)))
            if name in values:
                return Unknown(_TWICE)
            values[name] = None if content is MISSING else content
        return values

    return make


def refuse_bad_keys(entries: Sequence[tuple[Node, Node]], compilation: Compilation) -> None:
    """Refuse constant keys that cannot be, or are there twice.

    Raises:
        ExpressionError: at the key.
    """
    seen: set[object] = set()
    for key, _ in entries:
        if not isinstance(key, Literal):
            continue
        if kind(key.value) not in _KEYS:
            raise compilation.refusal(_BAD_KEY.format(kind(key.value)), key)
        if key.value in seen:
            raise compilation.refusal(_TWICE, key)
        seen.add(key.value)
