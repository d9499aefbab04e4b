"""Shapes of classes: Enum, dataclass, TypedDict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any

from durableq.words.typed.shape import ANY, Mismatch, Shape, step, unexpected


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an Enum, stored as its value."""

    enum: type[Enum]

    def holds(self, value: Any) -> bool:
        return isinstance(value, self.enum)

    def dump(self, value: Any) -> Any:
        if not isinstance(value, self.enum):
            raise unexpected(value, self.enum.__qualname__)
        return value.value

    def fits(self, data: Any) -> bool:
        return any(type(data) is type(member.value) and data == member.value for member in self.enum)

    def load(self, data: Any) -> Any:
        try:
            return self.enum(data)
        except Exception:
            raise Mismatch(f"is {data!r:.40}, which is no value of {self.enum.__qualname__}") from None


class Record:
    """A dataclass, stored as a map of its fields. Made again by its constructor, so `__post_init__` runs again."""

    __slots__ = ("cls", "later", "parts")

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.parts: dict[str, Shape] = {}
        self.later = [field.name for field in fields(cls) if not field.init]

    def holds(self, value: Any) -> bool:
        return type(value) is self.cls

    def dump(self, value: Any) -> Any:
        if type(value) is not self.cls:
            raise unexpected(value, self.cls.__qualname__)
        data = {}
        for name, shape in self.parts.items():
            member = getattr(value, name, MISSING)  # a field with init=False may never have been set
            if member is not MISSING:
                data[name] = member if shape is ANY else step(f".{name}", shape.dump, member)
        return data

    def fits(self, data: Any) -> bool:
        return (
            type(data) is dict
            and data.keys() == self.parts.keys()
            and all(self.parts[name].fits(member) for name, member in data.items())
        )

    def load(self, data: Any) -> Any:
        if type(data) is not dict:
            raise unexpected(data, self.cls.__qualname__)
        given = {name: step(f".{name}", self.parts[name].load, data[name]) for name in self.parts if name in data}
        later = {name: given.pop(name) for name in self.later if name in given}
        missing = [field.name for field in fields(self.cls) if _required(field) and field.name not in given]
        if missing:
            raise Mismatch(f"has no {', '.join(missing)}, which {self.cls.__qualname__} needs")
        try:
            value = self.cls(**given)
        except Exception as error:
            raise Mismatch(f"cannot become a {self.cls.__qualname__}: {type(error).__name__}: {error!s:.200}") from None
        for name, member in later.items():
            object.__setattr__(value, name, member)  # also where the dataclass is frozen
        return value


@dataclass(frozen=True, slots=True)
class Keys:
    """A TypedDict: a map some of whose values have shapes. Other keys pass as they are."""

    name: str
    parts: Mapping[str, Shape]
    required: frozenset[str]

    def holds(self, value: Any) -> bool:
        return type(value) is dict and self.required <= value.keys() <= self.parts.keys()

    def dump(self, value: Any) -> Any:
        if type(value) is not dict:
            raise unexpected(value, self.name)
        return {name: step(f".{name}", self.parts.get(name, ANY).dump, member) for name, member in value.items()}

    def fits(self, data: Any) -> bool:
        return self.holds(data) and all(self.parts[name].fits(member) for name, member in data.items())

    def load(self, data: Any) -> Any:
        if type(data) is not dict:
            raise unexpected(data, self.name)
        return {name: step(f".{name}", self.parts.get(name, ANY).load, member) for name, member in data.items()}


def _required(field: Any) -> bool:
    return bool(field.init and field.default is MISSING and field.default_factory is MISSING)
