"""Gates and numbers of flow control as the scripts read them (decision 012).

A declaration asks for limits; what their keys come to for one event are its run's *gates*, in front of the bytes that a
creation carries anyway (`dress_run`, `admit_run`). The *numbers* are registered beside the declaration, so that a
deployment's apply at once, also to what is queued.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import quote

NOTHING: Final = "~"
"""The key that all share which came to nothing, where a gate only delays."""

KEPT: Final = 60
LONGEST: Final = 96
BURST_LEAST: Final = 1
ONE_DAY_MS: Final = 86_400_000


def key_name(value: str) -> str:
    """A key's value as part of a gate's name: readable, without spaces, of at most 96 bytes."""
    # What quote() leaves alone besides letters and digits must not begin or look like something of the grammar.
    safe = quote(value, safe="-_.@+,!*()':/").replace(NOTHING, "%7E")
    if len(safe) <= LONGEST:
        return safe or "%"
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return f"{safe[:KEPT]}~{digest}"


def with_gates(gates: str, extras: bytes) -> bytes:
    """Gates in front of what `dress_run` reads, as `admit_run` reads them. No gates: the extras as they are.

    Those that a claim looks at stand apart, widest first, as their run's lane is named: throttle, then pools.
    """
    if not gates:
        return extras
    parts = gates.split(" ")
    priority = next((part[2:] for part in parts if part.startswith("p=")), None)
    needed = [part for part in parts if part[0] == "t"] + [part for part in parts if part[0] in "cr"]
    if priority is not None:
        needed.insert(0, "p=1")
    first = [part for part in parts if part[0] in "ildbse"]
    text = f"{priority or 0} {' '.join(needed)};{' '.join(first)}".encode()
    return b"@%d %s%s" % (len(text), text, extras)


def numbers(declared: Mapping[str, Any]) -> str:
    """The numbers of a function's flow control, by the letters of its gates: ` 0=10 t=100/60000/10 `; "" for none.

    `declared`: the parts of a declaration that have numbers: "concurrency": [{"limit"}], in the order of their ordinals;
    "throttle": {"limit", "period_ms", "burst"}, "rate_limit": {"limit", "period_ms"}, "idempotency": {"period_ms"},
    "debounce": {"period_ms", "timeout_ms"}, "batch": {"size", "timeout_ms"}, "singleton": {"mode"}.
    """
    found = [f"{ordinal}={limit['limit']}" for ordinal, limit in enumerate(declared.get("concurrency") or ())]
    if throttle := declared.get("throttle"):
        found.append(f"t={throttle['limit']}/{throttle['period_ms']}/{throttle.get('burst') or BURST_LEAST}")
    if rate := declared.get("rate_limit"):
        found.append(f"l={rate['limit']}/{rate['period_ms']}")
    if "idempotency" in declared:
        found.append(f"i={(declared['idempotency'] or {}).get('period_ms') or ONE_DAY_MS}")
    if debounce := declared.get("debounce"):
        found.append(f"d={debounce['period_ms']}/{debounce.get('timeout_ms') or 0}")
    if batch := declared.get("batch"):
        found.append(f"b={batch['size']}/{batch['timeout_ms']}")
    if singleton := declared.get("singleton"):
        found.append(f"s={singleton['mode']}")
    return f" {' '.join(found)} " if found else ""
