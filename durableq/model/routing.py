"""Which functions an event starts, and what their runs are created with: the registry, compiled for the router."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from durableq.model.dressing import PLAIN, Dressing
from durableq.model.expressions import Expression
from durableq.model.filing import paths_of
from durableq.model.gating import KeyFault
from durableq.model.trigger import EventTrigger, patterns_of
from durableq.words import codec
from durableq.words.errors import DurableqError

NEAR: Final = 0.75
"""Of difflib's ratio: "order/craeted" is 0.92 from "order/created", "order/shipped" 0.62."""


class Fault(NamedTuple):
    """A trigger of `function` that could not be evaluated, and why. With an option of flow control behind the id: its key."""

    function: str
    reason: str


def key_faults(function: str, keys: Iterable[KeyFault]) -> list[Fault]:
    """What was wrong with keys of a function's flow control for one event: one for each option, the first."""
    first: dict[str, str] = {}
    for option, reason in keys:
        first.setdefault(option, reason)
    return [Fault(f"{function} {option}", reason) for option, reason in first.items()]


class _Rule(NamedTuple):
    function: str
    trigger: str
    condition: Expression | None


class RoutingTable:
    """Functions by the event names they are triggered by. Immutable; made anew when the registry's version changes."""

    __slots__ = ("_broken", "_by_name", "_rules", "dressings", "heard", "version")

    def __init__(self, version: int, declarations: Mapping[str, bytes]) -> None:
        self.version = version
        self._rules: dict[str, list[_Rule]] = {}
        self._broken: dict[str, list[Fault]] = {}
        self._by_name: dict[str, tuple[list[_Rule], list[Fault]]] = {}
        self.dressings: dict[str, Dressing] = {}
        """What runs of a function are created with; most have none."""
        self.heard: dict[str, set[str]] = {}
        """The names of `cancel_on`, with the paths by which it may be filed: heard before the first run of the function."""
        for function, blob in sorted(declarations.items()):
            self._add(function, codec.decode(blob))

    def _add(self, function: str, declared: Mapping[str, Any]) -> None:
        for stored in declared["triggers"]:
            if "event" not in stored:
                continue  # a cron trigger: the ticker's matter
            name = stored["event"]
            try:
                trigger = EventTrigger.from_map(stored)
                self._rules.setdefault(name, []).append(_Rule(function, str(trigger), trigger.condition()))
            except DurableqError as error:
                # Declared by a newer release: that trigger is skipped here, visibly, and the others are not.
                self._broken.setdefault(name, []).append(Fault(function, f"{stored}: {error}"))
        dressing = Dressing.of(declared, function)
        if dressing is not PLAIN:
            self.dressings[function] = dressing
            for listener in dressing.listeners:
                self.heard.setdefault(listener.event, set()).update(paths_of(listener.if_))

    def starts(self, name: str, scope: Mapping[str, Any]) -> tuple[list[str], list[Fault]]:
        """The functions that an event starts, each once, and the triggers that could not be evaluated.

        `scope` is the event as expressions see it.
        """
        known = self._by_name.get(name)
        if known is None:
            known = self._met(name)
            if len(self._by_name) < 10_000:
                self._by_name[name] = known
        rules, faults = known
        if not rules:
            return [], faults
        started: dict[str, None] = {}
        found = list(faults)
        for rule in rules:
            if rule.function in started:
                continue
            if rule.condition is None:
                started[rule.function] = None
                continue
            result = rule.condition.evaluate({"event": scope})
            if result.problem is not None:
                found.append(Fault(rule.function, f"{rule.trigger}: {result.problem}"))
            elif result.truth:
                started[rule.function] = None
        return list(started), found

    def hears(self, name: str) -> bool:
        """Whether any trigger, also one that cannot be evaluated here, names this event."""
        return any(pattern in self._rules or pattern in self._broken for pattern in patterns_of(name))

    def nearest(self, name: str) -> str | None:
        """The trigger's name that is most like this one, if any is like it at all: what a typo was meant to be."""
        found = get_close_matches(name, [*self._rules, *self._broken], n=1, cutoff=NEAR)
        return found[0] if found else None

    def _met(self, name: str) -> tuple[list[_Rule], list[Fault]]:
        patterns = patterns_of(name)
        return (
            [rule for pattern in patterns for rule in self._rules.get(pattern, ())],
            [fault for pattern in patterns for fault in self._broken.get(pattern, ())],
        )
