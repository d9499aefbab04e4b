"""Limits as a function declares them, with the numbers in force, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from durableq.model.flow import ordinal
from durableq.services.flow_views import OptionView
from durableq.words.periods import format_ms

_NUMBERS: Final = {
    "throttle": re.compile(r" t=(\d+)/(\d+)/(\d+) "),
    "rate_limit": re.compile(r" l=(\d+)/(\d+) "),
    "idempotency": re.compile(r" i=(\d+) "),
    "debounce": re.compile(r" d=(\d+)/(\d+) "),
    "batch": re.compile(r" b=(\d+)/(\d+) "),
    "singleton": re.compile(r" s=(\w+) "),
}


def options_view(declared: Mapping[str, Any], numbers: str) -> tuple[OptionView, ...]:
    """What a declaration of the registry has of flow control; `numbers` are those in force (model/flow.py)."""
    return tuple(_options(declared, numbers))


def _options(declared: Mapping[str, Any], numbers: str) -> Iterator[OptionView]:
    for limit in declared.get("concurrency") or ():
        found = re.search(rf" {ordinal(limit)}=(\d+) ", numbers)
        yield OptionView("concurrency", found[1] if found else "", limit.get("key"), _about(limit))
    for option in _NUMBERS:
        stored = declared.get(option)
        if stored:
            yield OptionView(option, _now(option, numbers), stored.get("key"), _condition(stored))
    if declared.get("priority"):
        yield OptionView("priority", "seconds by which a run goes sooner", str(declared["priority"]))


def _about(limit: Mapping[str, Any]) -> str:
    scope, hold = limit.get("scope") or "function", limit.get("hold") or "turn"
    shared = {"app": "shared by the app", "namespace": "shared by the namespace"}.get(scope, "")
    return ", ".join(part for part in (shared, "held until the run ends" if hold == "run" else "") if part)


def _condition(stored: Mapping[str, Any]) -> str:
    return f"if {stored['if']}" if stored.get("if") else ""


def _now(option: str, numbers: str) -> str:
    found = _NUMBERS[option].search(numbers)
    if found is None:
        return ""
    parts = found.groups()
    match option:
        case "throttle":
            burst = f", burst {parts[2]}" if parts[2] != "1" else ""
            return f"{parts[0]} per {format_ms(int(parts[1]))}{burst}"
        case "rate_limit":
            return f"{parts[0]} per {format_ms(int(parts[1]))}"
        case "debounce":
            at_most = f", at most {format_ms(int(parts[1]))}" if parts[1] != "0" else ""
            return f"{format_ms(int(parts[0]))}{at_most}"
        case "batch":
            return f"{parts[0]} or {format_ms(int(parts[1]))}"
        case "idempotency":
            return format_ms(int(parts[0]))
    return str(parts[0])
