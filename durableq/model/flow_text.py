"""Flow control as people read it, of a declaration of the registry: one short phrase for each option."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from durableq.words.periods import format_ms
from durableq.words.shown import shown

_SCOPES: Final = {"app": " in the app", "namespace": " in the namespace"}
_MODES: Final = {"skip": "the rest is skipped", "cancel": "a new one cancels it"}


def flow_line(declared: Mapping[str, Any]) -> str:
    """All of it on one line; "" for none."""
    return "; ".join(f"{option} {phrase}" for option, phrase in flow_phrases(declared).items())


def flow_phrases(declared: Mapping[str, Any]) -> dict[str, str]:
    """By option, in the order of admission: `{"throttle": "100 per 1m, 10 at once"}`; only of what is declared.

    What another release has declared, and cannot be read here, stands there as it is.
    """
    found = {}
    for option, phrase in _PHRASES.items():
        given = declared.get(option)
        if given:
            try:
                found[option] = phrase(given)
            except (AttributeError, LookupError, TypeError, ValueError):
                found[option] = shown(given)
    return found


def _concurrency(limits: Sequence[Mapping[str, Any]]) -> str:
    return " and ".join(
        f"{limit['limit']:,}{_SCOPES.get(limit['scope'], '')}{_by(limit)}"
        + (", held until the run ends" if limit["hold"] == "run" else "")
        for limit in limits
    )


def _throttle(one: Mapping[str, Any]) -> str:
    burst = f", {one['burst']:,} at once" if one["burst"] > 1 else ""
    return f"{one['limit']:,} per {format_ms(one['period_ms'])}{burst}{_by(one)}"


def _rate_limit(one: Mapping[str, Any]) -> str:
    return f"{one['limit']:,} per {format_ms(one['period_ms'])}{_by(one)}, the rest is dropped"


def _debounce(one: Mapping[str, Any]) -> str:
    timeout = f", at most {format_ms(one['timeout_ms'])}" if one["timeout_ms"] else ""
    return f"{format_ms(one['period_ms'])}{timeout}{_by(one)}"


def _batch(one: Mapping[str, Any]) -> str:
    among = f", of events with {one['if']}" if one["if"] is not None else ""
    return f"{one['size']:,} or {format_ms(one['timeout_ms'])}{_by(one)}{among}"


def _singleton(one: Mapping[str, Any]) -> str:
    return f"one{_by(one)}, {_MODES[one['mode']]}"


def _idempotency(one: Mapping[str, Any]) -> str:
    return f"once in 24h{_by(one)}"


def _by(one: Mapping[str, Any]) -> str:
    return "" if one["key"] is None else f" per {one['key']}"


_PHRASES: Final[Mapping[str, Callable[[Any], str]]] = {
    "idempotency": _idempotency,
    "rate_limit": _rate_limit,
    "debounce": _debounce,
    "batch": _batch,
    "singleton": _singleton,
    "throttle": _throttle,
    "priority": str,
    "concurrency": _concurrency,
}

FLOW_OPTIONS: Final = tuple(_PHRASES)
"""The options of flow control, as declarations name them."""
