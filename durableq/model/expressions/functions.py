"""The table of functions: what each is called, how it may be called, and what runs.

To add one, write it in `conversions.py`, `string_functions.py` or `time_functions.py` and list it there; nothing else
changes. It is given the frame and its arguments, the receiver first, none of them unknown. It returns `Unknown` for
what it cannot do and never raises, but for `BudgetExceeded`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from durableq.model.expressions.frame import Frame
from durableq.model.expressions.values import MISSING, Unknown, kind

Prepare = Callable[[Frame, object], object]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language."""

    name: str
    run: Callable[..., object]
    as_function: tuple[int, ...] = ()
    """Argument counts of `name(...)`."""
    as_method: tuple[int, ...] = ()
    """Argument counts of `receiver.name(...)`."""
    when_absent: object = MISSING
    """The result where an argument is missing or null."""
    takes_absent: bool = False
    """Whether it is called even so."""
    same_each_time: bool = True
    """Whether equal arguments always give an equal result; then a call on constants is made once, when compiling."""
    units: int = 6
    """What a call in a macro costs. A unit is about 0.15 us."""
    prepares: Mapping[int, Prepare] = field(default_factory=dict)
    """For some arguments, receiver included: what to make of a constant when compiling. `Unknown` refuses it."""


def wrong_kind(name: str, value: object) -> Unknown:
    """The result of a function called with a value it has no use for."""
    return Unknown(f"{name}() does not take {kind(value)}")
