"""Shapes: how values of one annotation become plain data, and how that data becomes such a value again.

A shape restores, it does not validate: what stands in a field annotated `int` is stored and comes back as it is. Only a
union looks at the data, to find the member that wrote it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Mismatch(Exception):
    """A value or its data is not of the annotated shape. `steps` is the path, innermost first."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.steps: list[str] = []
        super().__init__(reason)

    @property
    def path(self) -> str:
        return "".join(reversed(self.steps))


class Shape(Protocol):
    """One annotation, ready for use."""

    def holds(self, value: Any) -> bool:
        """Whether a union should let this shape dump the value."""
        ...

    def dump(self, value: Any) -> Any:
        """The value as data that the codec knows, or Mismatch."""
        ...

    def fits(self, data: Any) -> bool:
        """Whether a union should let this shape load the data."""
        ...

    def load(self, data: Any) -> Any:
        """The value that was dumped to this data, or Mismatch."""
        ...


@dataclass(frozen=True, slots=True)
class Leaf:
    """Whatever the codec stores as it is. `kinds`, and the `values` of a Literal, only matter to a union."""

    kinds: tuple[type, ...] = (object,)
    values: tuple[Any, ...] | None = None

    def holds(self, value: Any) -> bool:
        return isinstance(value, self.kinds) and (self.values is None or value in self.values)

    def dump(self, value: Any) -> Any:
        return value

    def fits(self, data: Any) -> bool:
        return self.holds(data)

    def load(self, data: Any) -> Any:
        return data


ANY = Leaf()


def step(name: str, change: Callable[[Any], Any], value: Any) -> Any:
    """`change(value)`, with `name` put before the path of a Mismatch."""
    try:
        return change(value)
    except Mismatch as mismatch:
        mismatch.steps.append(name)
        raise


def unexpected(value: Any, wanted: str) -> Mismatch:
    """The Mismatch of a value that is not of the annotated type."""
    return Mismatch(
        f"is of type {type(value).__qualname__} where the annotation says {wanted}: mend the one or the other"
    )
