"""Shapes of containers and unions that hold a structured type somewhere. Where none does, the whole is a Leaf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from durableq.words.typed.shape import Leaf, Mismatch, Shape, step, unexpected


@dataclass(frozen=True, slots=True)
class Map:
    """dict[str, X]."""

    item: Shape

    def holds(self, value: Any) -> bool:
        return type(value) is dict and all(map(self.item.holds, value.values()))

    def dump(self, value: Any) -> Any:
        if type(value) is not dict:
            raise unexpected(value, "dict")
        return {key: step(f"[{key!r:.40}]", self.item.dump, member) for key, member in value.items()}

    def fits(self, data: Any) -> bool:
        return type(data) is dict and all(map(self.item.fits, data.values()))

    def load(self, data: Any) -> Any:
        if type(data) is not dict:
            raise unexpected(data, "dict")
        return {key: step(f"[{key!r:.40}]", self.item.load, member) for key, member in data.items()}


@dataclass(frozen=True, slots=True)
class Items:
    """list[X], tuple[X, ...], Sequence[X]: `kinds` are the types that the value may have; it keeps the one it has."""

    kinds: tuple[type, ...]
    item: Shape

    def holds(self, value: Any) -> bool:
        return type(value) in self.kinds and all(map(self.item.holds, value))

    def dump(self, value: Any) -> Any:
        return self._each(self.item.dump, value)

    def fits(self, data: Any) -> bool:
        return type(data) in self.kinds and all(map(self.item.fits, data))

    def load(self, data: Any) -> Any:
        return self._each(self.item.load, data)

    def _each(self, change: Callable[[Any], Any], members: Any) -> Any:
        if type(members) not in self.kinds:
            raise unexpected(members, self.kinds[0].__name__)
        return type(members)(step(f"[{index}]", change, member) for index, member in enumerate(members))


@dataclass(frozen=True, slots=True)
class Unordered:
    """set[X], frozenset[X]: stored as a list, since the map of a dataclass cannot be in a set."""

    kind: type[set[Any]] | type[frozenset[Any]]
    item: Shape

    def holds(self, value: Any) -> bool:
        return type(value) is self.kind and all(self.item.holds(member) for member in value)

    def dump(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise unexpected(value, self.kind.__name__)
        return [step("{}", self.item.dump, member) for member in value]

    def fits(self, data: Any) -> bool:
        return type(data) is list and all(map(self.item.fits, data))

    def load(self, data: Any) -> Any:
        if type(data) is not list:
            raise unexpected(data, self.kind.__name__)
        return self.kind(step("{}", self.item.load, member) for member in data)


@dataclass(frozen=True, slots=True)
class Row:
    """tuple[X, Y]."""

    items: tuple[Shape, ...]

    def holds(self, value: Any) -> bool:
        return self._is_row(value) and all(item.holds(member) for item, member in zip(self.items, value, strict=True))

    def dump(self, value: Any) -> Any:
        if not self._is_row(value):
            raise unexpected(value, f"tuple of {len(self.items)}")
        return tuple(step(f"[{n}]", item.dump, value[n]) for n, item in enumerate(self.items))

    def fits(self, data: Any) -> bool:
        return self._is_row(data) and all(item.fits(member) for item, member in zip(self.items, data, strict=True))

    def load(self, data: Any) -> Any:
        if not self._is_row(data):
            raise unexpected(data, f"tuple of {len(self.items)}")
        return tuple(step(f"[{n}]", item.load, data[n]) for n, item in enumerate(self.items))

    def _is_row(self, value: Any) -> bool:
        return type(value) is tuple and len(value) == len(self.items)


@dataclass(frozen=True, slots=True)
class Union:
    """X | Y | None. The type of the value decides on the way out, the keys and types of the data on the way in."""

    members: tuple[Shape, ...]

    def holds(self, value: Any) -> bool:
        return any(member.holds(value) for member in self.members)

    def dump(self, value: Any) -> Any:
        for member in self.members:
            if member.holds(value):
                return member.dump(value)
        raise Mismatch(f"is of type {type(value).__qualname__}, which the annotated union does not have")

    def fits(self, data: Any) -> bool:
        return any(member.fits(data) for member in self.members)

    def load(self, data: Any) -> Any:
        for member in self.members:
            if member.fits(data):
                return member.load(data)
        # Data of an earlier release of the code, whose fields were others: the first member that can be made of it.
        for member in self.members:
            if not isinstance(member, Leaf):
                try:
                    return member.load(data)
                except Mismatch:
                    continue
        raise Mismatch("was written by no type that the annotated union has")
