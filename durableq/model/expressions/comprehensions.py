"""The macros `all`, `exists`, `exists_one`, `filter` and `map`, on the elements of a list or the keys of a map.

Their conditions take any value for true or false. On a missing or null list the first three are false, `all` too: a
payload without items has not had all of them approved. `filter` and `map` are missing then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from durableq.model.expressions.frame import Closure, Frame
from durableq.model.expressions.values import MISSING, Unknown, adopt, is_absent, is_truthy, kind

_Rounds = Iterator[object]


def build_comprehension(macro: str, target: Closure, slot: int, bodies: tuple[Closure, ...], units: int) -> Closure:
    """`target.macro(variable, bodies)`. `units` is what one round costs."""
    fold = _FOLDS[macro, len(bodies)]
    when_absent = MISSING if macro in ("filter", "map") else False

    def comprehension(frame: Frame) -> object:
        holder = target(frame)
        if type(holder) is Unknown:
            return holder
        if is_absent(holder):
            return when_absent
        holder = adopt(holder)
        word = kind(holder)
        if word not in ("list", "map"):
            return Unknown(f"{macro}() needs a list or a map, not {word}")
        return fold(frame, _rounds(frame, cast("Iterable[object]", holder), slot, units), *bodies)

    return comprehension


def _rounds(frame: Frame, items: Iterable[object], slot: int, units: int) -> _Rounds:
    """Bind the variable to one item after another, paying for each round first."""
    variables = frame.locals
    for item in items:
        frame.count_iteration(units)
        variables[slot] = item
        yield item


def _all(frame: Frame, rounds: _Rounds, condition: Closure) -> object:
    unknown: Unknown | None = None
    for _ in rounds:
        value = condition(frame)
        if type(value) is Unknown:
            unknown = unknown or value
        elif not is_truthy(value):
            return False
    return unknown or True


def _exists(frame: Frame, rounds: _Rounds, condition: Closure) -> object:
    unknown: Unknown | None = None
    for _ in rounds:
        value = condition(frame)
        if type(value) is Unknown:
            unknown = unknown or value
        elif is_truthy(value):
            return True
    return unknown or False


def _exists_one(frame: Frame, rounds: _Rounds, condition: Closure) -> object:
    found = 0
    for _ in rounds:
        value = condition(frame)
        if type(value) is Unknown:
            return value
        found += is_truthy(value)
    return found == 1


def _filter(frame: Frame, rounds: _Rounds, condition: Closure) -> object:
    kept: list[object] = []
    for item in rounds:
        value = condition(frame)
        if type(value) is Unknown:
            return value
        if is_truthy(value):
            kept.append(item)
    return kept


def _map(frame: Frame, rounds: _Rounds, transform: Closure) -> object:
    return _map_where(frame, rounds, lambda _: True, transform)


def _map_where(frame: Frame, rounds: _Rounds, condition: Closure, transform: Closure) -> object:
    results: list[object] = []
    for _ in rounds:
        value = condition(frame)
        if type(value) is Unknown:
            return value
        if is_truthy(value):
            result = transform(frame)
            if type(result) is Unknown:
                return result
            results.append(None if result is MISSING else result)
    return results


_FOLDS: dict[tuple[str, int], Callable[..., object]] = {
    ("all", 1): _all,
    ("exists", 1): _exists,
    ("exists_one", 1): _exists_one,
    ("filter", 1): _filter,
    ("map", 1): _map,
    ("map", 2): _map_where,
}
