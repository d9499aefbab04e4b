"""Gates and numbers of flow control as the scripts read them (decision 012).

A declaration asks for limits; what their keys come to for one event are its run's *gates*, in front of the bytes that a
creation carries anyway (`dress_run`, `admit_run`). The *numbers* are registered beside the declaration, so that a
deployment's apply at once, also to what is queued.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import quote

NOTHING: Final = "~"
"""The key that all share which came to nothing, where a gate only delays."""

EMPTY: Final = "%"
"""The name of an empty text, which is a key like any other. No name at all: there is no key, all runs share the limit."""

KEPT: Final = 60
LONGEST: Final = 96
KINDS: Final = (None, "function", "app", "namespace")
"""What an ordinal's first digit halved says: no key, or the scope of one."""
BURST_LEAST: Final = 1
ONE_DAY_MS: Final = 86_400_000
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.@+,!*()':/-]{1,96}\Z")
"""What quote() would leave as it is."""


def key_name(value: str) -> str:
    """A key's value as part of a gate's name: readable, without spaces, of at most 96 bytes."""
    if _PLAIN.match(value):
        return value
    # What quote() leaves alone besides letters and digits must not begin or look like something of the grammar.
    safe = quote(value, safe="-_.@+,!*()':/").replace(NOTHING, "%7E")
    if len(safe) <= LONGEST:
        return safe or EMPTY
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
    return gates_text([priority or "0", *needed], first) + extras


def gates_text(needed: Iterable[str], first: Iterable[str]) -> bytes:
    """Gates as `admit_run` reads them: the priority in ms and what is needed to be claimed; what is looked at before."""
    # No name has a space or a semicolon.
    return f"@{' '.join(needed)};{' '.join(first)};".encode()


def ordinal(limit: Mapping[str, Any]) -> str:
    """What names a concurrency limit in gates and numbers: a digit for its kind, and six for its key, if it has one.

    Of the limit alone: others may come and go while runs are queued that have been admitted with this one.
    """
    run, key = limit.get("hold") == "run", limit.get("key")
    if key is None:
        return "1" if run else "0"
    kind = 2 * KINDS.index(limit.get("scope") or "function") + run
    digest = int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest())
    return f"{kind}{digest % 1_000_000:06}"


def numbers(declared: Mapping[str, Any]) -> str:
    """The numbers of a function's flow control, by the letters of its gates: ` 0=10 t=100/60000/10 `; "" for none.

    `declared`: the parts of a declaration that have numbers: "concurrency": [{"limit", "key", "scope", "hold"}];
    "throttle": {"limit", "period_ms", "burst"}, "rate_limit": {"limit", "period_ms"}, "idempotency": {"period_ms"},
    "debounce": {"period_ms", "timeout_ms"}, "batch": {"size", "timeout_ms"}, "singleton": {"mode"}.
    """
    found = [f"{name}={limit}" for name, limit in _limits(declared.get("concurrency") or ()).items()]
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


def _limits(declared: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Limits by ordinal, and by kind the largest of those with a key: what was admitted with a key that has changed since
    obeys that one, or a deploy would let all of it go at once.
    """
    found: dict[str, int] = {}
    kinds: dict[str, int] = {}
    for limit in declared:
        name, most = ordinal(limit), limit["limit"]
        found[name] = min(most, found.get(name, most))
        if len(name) > 1:
            kinds[name[0]] = max(most, kinds.get(name[0], 0))
    return {**found, **kinds}
