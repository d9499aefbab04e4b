"""All functions by name, and the names of the macros."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from durableq.model.expressions.conversions import CONVERSIONS, INSPECTIONS
from durableq.model.expressions.functions import Function
from durableq.model.expressions.string_functions import STRING_FUNCTIONS
from durableq.model.expressions.suggestions import did_you_mean
from durableq.model.expressions.time_functions import TIME_FUNCTIONS
from durableq.words.errors import ExpressionError

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {function.name: function for function in (*CONVERSIONS, *INSPECTIONS, *STRING_FUNCTIONS, *TIME_FUNCTIONS)}
)
MACROS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"all": (1,), "exists": (1,), "exists_one": (1,), "filter": (1,), "map": (1, 2)}
)
"""The macros on lists and maps, with how many bodies may follow the variable."""


def find_function(name: str, source: str, position: int, *, as_method: bool) -> Function:
    """The function called at a position, as `name(...)` or as `value.name(...)`.

    Raises:
        ExpressionError: there is none of that name, or it is written the other way.
    """
    function = FUNCTIONS.get(name)
    if function is None:
        names = [*FUNCTIONS, *MACROS] if as_method else [*FUNCTIONS, "has"]
        raise ExpressionError(f"there is no function {name}(){did_you_mean(name, names, '{}()')}", source, position)
    if not (function.as_method if as_method else function.as_function):
        form = f"{name}(value)" if as_method else f"value.{name}(...)"
        raise ExpressionError(f"{name}() is written as {form}", source, position)
    return function
