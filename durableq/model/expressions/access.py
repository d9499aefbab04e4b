"""Reading: variables, fields, elements, `has()` and `in`. Whatever is not there is `MISSING`, at any depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from durableq.model.expressions.frame import Closure, Frame
from durableq.model.expressions.values import MISSING, Unknown, adopt, kind
from durableq.words.errors import DurableqError

# What a subscript raises where there is no such field: no key, not a container, or a list asked for a name. Our own
# errors, though some are TypeErrors too, go through: an event that cannot be decoded is a problem, not a missing field.
_NOT_THERE = (KeyError, TypeError, IndexError)


def build_path(path: tuple[str, ...]) -> Closure:
    """Reads a variable and fields below it. The usual lengths are spelt out: most of an evaluation is this."""
    match path:
        case (variable,):

            def read(frame: Frame) -> object:
                try:
                    return frame.scope[variable]
                except DurableqError:
                    raise
                except _NOT_THERE:
                    return MISSING

        case (variable, one):

            def read(frame: Frame) -> object:
                try:
                    return frame.scope[variable][one]  # type: ignore[index]
                except DurableqError:
                    raise
                except _NOT_THERE:
                    return MISSING

        case (variable, one, two):

            def read(frame: Frame) -> object:
                try:
                    return frame.scope[variable][one][two]  # type: ignore[index]
                except DurableqError:
                    raise
                except _NOT_THERE:
                    return MISSING

        case (variable, one, two, three):

            def read(frame: Frame) -> object:
                try:
                    return frame.scope[variable][one][two][three]  # type: ignore[index]
                except DurableqError:
                    raise
                except _NOT_THERE:
                    return MISSING

        case _:

            def read(frame: Frame) -> object:
                return read_path(frame.scope, path)

    return read


def read_path(scope: Mapping[str, object], path: Sequence[str]) -> object:
    """What the scope holds at a path, else `MISSING`."""
    value: object = scope
    try:
        for name in path:
            value = value[name]  # type: ignore[index]
    except DurableqError:
        raise
    except _NOT_THERE:
        return MISSING
    return value


def build_local(slot: int) -> Closure:
    """Reads a macro's variable."""

    def read(frame: Frame) -> object:
        return frame.locals[slot]

    return read


def build_select(operand: Closure, field: str) -> Closure:
    """Reads a field of a computed value."""

    def select(frame: Frame) -> object:
        value = operand(frame)
        if type(value) is Unknown:
            return value
        try:
            return value[field]  # type: ignore[index]
        except DurableqError:
            raise
        except _NOT_THERE:
            return MISSING

    return select


def build_has(operand: Closure, field: str) -> Closure:
    """Whether a field is there. One that holds null is."""

    def has(frame: Frame) -> object:
        value = operand(frame)
        if type(value) is Unknown:
            return value
        return kind(value) == "map" and field in cast("Mapping[object, object]", value)

    return has


def build_index(operand: Closure, index: Closure) -> Closure:
    """Reads the element of a list at a position, or of a map at a key, both computed."""

    def element(frame: Frame) -> object:
        value, key = operand(frame), index(frame)
        if type(value) is Unknown:
            return value
        if type(key) is Unknown:
            return key
        word = kind(value)
        if word == "map":
            return lookup(cast("Mapping[object, object]", value), adopt(key))
        if word == "list":
            return _at(cast("Sequence[object]", value), key)
        return MISSING

    return element


def _at(items: Sequence[object], position: object) -> object:
    if isinstance(position, float) and position.is_integer():
        position = int(position)
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position < len(items):
        return MISSING
    return items[position]


def lookup(mapping: Mapping[object, object], key: object) -> object:
    """What a map holds at a key, else `MISSING`. 1, 1u and 1.0 are one key; `true` is another, which a dict forgets."""
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    try:
        value = mapping[key]
    except DurableqError:
        raise
    except _NOT_THERE:
        return MISSING
    if isinstance(key, int) and key in (0, 1):
        is_bool = isinstance(key, bool)
        if not any(candidate == key and isinstance(candidate, bool) == is_bool for candidate in mapping):
            return MISSING
    return value
