"""What the keys of a declaration's flow control come to for one event: its run's gates, as text (decision 012).

Python evaluates keys, with the declaration that it has; Lua applies numbers, of the newest deployment. A key's value becomes a
name, so that what has one value shares a limit: 1, 1.0 and "1" are one key, as they are where Inngest prints them.

A key that comes to nothing (null, missing, cannot be evaluated, cannot be printed) is a fault, which is noted. Where the
limit drops, replaces or cancels, the event passes without it; where it only delays, all such events share one key. `false`
means: not limited, and is no fault. So a typo neither loses anything nor unlimits anything.

An option that another release has declared and that cannot be read here is left out, and is a fault of each event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from durableq.model.expressions import Expression, compile_expression
from durableq.model.expressions.keys import key_text
from durableq.model.flow import NOTHING, gates_text, key_name, ordinal
from durableq.words.errors import DurableqError

OPTIONS: Final = (
    "idempotency",
    "rate_limit",
    "debounce",
    "batch",
    "singleton",
    "throttle",
    "concurrency",
    "priority",
)
"""The options that are decided by gates, as declarations name them."""

PRIORITY_MAX_S: Final = 600
"""A priority moves a run by at most so much, to either side."""

NAMES_KEPT: Final = 1024
"""Of one function: keys whose names are remembered. Making a name takes 0.3 to 3 us, finding it 0.1."""

_LETTERS: Final = {"idempotency": "i", "rate_limit": "l", "debounce": "d", "batch": "b", "singleton": "s"}
_LETTER_OF_HOLD: Final = {"turn": "c", "run": "r"}
_HELD_BACK: Final = frozenset({"debounce", "batch"})


class KeyFault(NamedTuple):
    """An option whose key came to nothing for an event, or that cannot be read here; and why, for people."""

    option: str
    reason: str


class _Gate(NamedTuple):
    option: str
    stem: str
    """The gate up to the key's name: `t=shop/f:t:`."""
    key: Expression | None
    """None: all runs share it."""
    delays: bool
    """Whether it only delays, so that keys which come to nothing share one."""
    shared: str = ""
    """Of a limit that several functions share, the pool up to the key's name; else ""."""
    limit: int = 0
    """Of a shared one."""


class Gating:
    """The flow control of one function. Immutable but for names that it remembers; used by one thread."""

    __slots__ = ("_batched_if", "_constant", "_first", "_later", "_may_meet", "_name", "_priority", "faults")

    def __init__(self, function: str, declared: Mapping[str, Any]) -> None:
        self._first: list[_Gate] = []
        """What is decided at admission, in the order of decision."""
        self._later: list[_Gate] = []
        """What is decided when a run is claimed: the throttle, then pools, widest first."""
        self._priority: Expression | None = None
        self._batched_if: Expression | None = None
        faults: list[KeyFault] = []
        for option, read in _READERS.items():
            if not declared.get(option):
                continue
            try:
                read(self, function, declared[option])
            except (DurableqError, LookupError, TypeError, ValueError, AttributeError) as error:
                faults.append(KeyFault(option, f"it is declared in a way that this release cannot read: {error}"))
        self.faults = tuple(faults)
        """What is wrong with the declaration, whatever the event."""
        self._may_meet = sum(bool(gate.shared) for gate in self._later) > 1
        self._name = lru_cache(maxsize=NAMES_KEPT)(key_name)
        self._constant = (
            None if self._varies() else {direct: self._evaluated({}, direct, []) for direct in (False, True)}
        )

    def gates(self, event: Mapping[str, Any], *, direct: bool = False) -> tuple[bytes, Sequence[KeyFault]]:
        """What goes in front of a run's extras, as `admit_run` reads it, b"" for nothing; and what was wrong.

        `event` is the run's own, as expressions see it. A `direct` run is one that somebody asked for, or a tick: it is
        not held back, so keys of debounce and batch are not looked at.
        """
        if self._constant is not None:
            return self._constant[direct], self.faults
        faults: list[KeyFault] = list(self.faults) if self.faults else []
        return self._evaluated(event, direct, faults), faults

    def _varies(self) -> bool:
        """Whether events have different gates."""
        keyed = any(gate.key is not None or gate.option == "debounce" for gate in (*self._first, *self._later))
        return keyed or self._priority is not None or self._batched_if is not None

    def _evaluated(self, event: Mapping[str, Any], direct: bool, faults: list[KeyFault]) -> bytes:
        scope = {"event": event}
        needed = ["0"]
        if self._priority is not None:
            needed = [str(_priority_ms(self._priority, scope, faults)), "p=1"]
        shared: dict[str, tuple[int, int]] | None = {} if self._may_meet else None
        for gate in self._later:
            name = "" if gate.key is None else self._named(gate, gate.key, scope, faults)
            if name is None:
                continue
            if shared is not None and gate.shared and not _is_narrowest(gate, name, shared, needed):
                continue
            needed.append(gate.stem + name)
        first: list[str] = []
        for gate in self._first:
            if direct and gate.option in _HELD_BACK:
                continue
            if self._batched_if is not None and gate.option == "batch" and not self._is_batched(scope, faults):
                continue
            name = "" if gate.key is None else self._named(gate, gate.key, scope, faults)
            if name is None:
                continue
            first.append(gate.stem + name)
            if gate.option == "debounce":
                first.append(f"e={event['ts'] or 0}")
        return gates_text(needed, first) if first or len(needed) > 1 else b""

    def _named(self, gate: _Gate, key: Expression, scope: Mapping[str, Any], faults: list[KeyFault]) -> str | None:
        """The name of what the key came to; None where the gate does not apply."""
        value = key.value(scope)
        if value is False:
            return None
        text = key_text(value)
        if text is not None:
            return self._name(text)
        faults.append(KeyFault(gate.option, _why_nothing(key, scope, value)))
        return NOTHING if gate.delays else None

    def _is_batched(self, scope: Mapping[str, Any], faults: list[KeyFault]) -> bool:
        assert self._batched_if is not None
        result = self._batched_if.evaluate(scope)
        if result.problem is not None:
            faults.append(KeyFault("batch", f"if_ {self._batched_if.source}: {result.problem}"))
        return result.truth

    # --- reading the declaration

    def _read_keyed(self, option: str, function: str, declared: Mapping[str, Any]) -> None:
        name = f"{function}:z:" if option == "singleton" else f"{function}:"
        self._first.append(
            _Gate(option, f"{_LETTERS[option]}={name}", _compiled(declared.get("key")), option == "batch")
        )

    def _read_idempotency(self, function: str, declared: Mapping[str, Any]) -> None:
        if declared["key"] is None:
            raise ValueError("it has no key")
        self._read_keyed("idempotency", function, declared)

    def _read_batch(self, function: str, declared: Mapping[str, Any]) -> None:
        batched_if = _compiled(declared.get("if"))
        self._read_keyed("batch", function, declared)
        self._batched_if = batched_if

    def _read_throttle(self, function: str, declared: Mapping[str, Any]) -> None:
        self._later.append(_Gate("throttle", f"t={function}:t:", _compiled(declared.get("key")), True))

    def _read_concurrency(self, function: str, declared: Sequence[Mapping[str, Any]]) -> None:
        unread = ""
        for limit in declared:
            try:
                scope, hold, key = limit.get("scope") or "function", limit.get("hold") or "turn", limit.get("key")
                pool = pool_stem(function, scope, key, hold)
                gate = _Gate("concurrency", f"{_LETTER_OF_HOLD[hold]}{ordinal(limit)}={pool}", _compiled(key), True)
                if scope != "function":
                    gate = gate._replace(shared=pool, limit=int(limit["limit"]))
                self._later.append(gate)
            except (DurableqError, LookupError, TypeError, ValueError, AttributeError) as error:
                unread = unread or f"{limit!r:.200}: {error}"
        if unread:
            raise ValueError(unread)

    def _read_priority(self, function: str, declared: str) -> None:
        self._priority = compile_expression(declared)


def pool_stem(function: str, scope: str, key: str | None, hold: str) -> str:
    """The name of a concurrency limit's pools, up to what its key came to. Raises ValueError for an unknown scope.

    What is held for a turn and what is held for a run are counted apart: one function may limit both, by one key.
    """
    run = "r" if hold == "run" else ""
    match scope:
        case "function":
            # Short, since it stands in each queued run: it keeps a function's few keys apart, and those that it had before.
            digest = blake2b(f"{hold} {key or ''}".encode(), digest_size=4).hexdigest()
            return f"{function}:{digest}:"
        case "app":
            return f"+a{run}:{function.partition('/')[0]}:"
        case "namespace":
            return f"+n{run}:"
    raise ValueError(f"no scope is called {scope!r}")


def gating_of(function: str, declared: Mapping[str, Any]) -> Gating | None:
    """What a declaration of the registry asks for, of the function of this full id; None where it has no flow control."""
    for option in OPTIONS:
        if declared.get(option):
            return Gating(function, declared)
    return None


def _compiled(source: str | None) -> Expression | None:
    return None if source is None else compile_expression(source)


def _is_narrowest(gate: _Gate, name: str, shared: dict[str, tuple[int, int]], needed: list[str]) -> bool:
    """Of a run's limits that came to one pool only the smallest counts, or the run would take two slots of it."""
    pool = gate.shared + name
    before = shared.get(pool)
    if before is not None:
        limit, place = before
        if gate.limit < limit:
            needed[place] = gate.stem + name
            shared[pool] = gate.limit, place
        return False
    shared[pool] = gate.limit, len(needed)
    return True


def _priority_ms(priority: Expression, scope: Mapping[str, Any], faults: list[KeyFault]) -> int:
    value = priority.value(scope)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-PRIORITY_MAX_S, min(PRIORITY_MAX_S, value)) * 1000
    if value is None:
        reason = _why_nothing(priority, scope, value)
    else:
        reason = f"{priority.source} came to a {type(value).__name__}, not to a whole number of seconds"
    faults.append(KeyFault("priority", reason))
    return 0


def _why_nothing(key: Expression, scope: Mapping[str, Any], value: object) -> str:
    if value is not None:
        return f"{key.source} came to a {type(value).__name__} that cannot be a key"
    problem = key.evaluate(scope).problem
    return f"{key.source} came to nothing" if problem is None else f"{key.source}: {problem}"


def _keyed(option: str) -> Callable[[Gating, str, Any], None]:
    return lambda gating, function, declared: gating._read_keyed(option, function, declared)


_READERS: Final[Mapping[str, Callable[[Gating, str, Any], None]]] = {
    "idempotency": Gating._read_idempotency,
    "rate_limit": _keyed("rate_limit"),
    "debounce": _keyed("debounce"),
    "batch": Gating._read_batch,
    "singleton": _keyed("singleton"),
    "throttle": Gating._read_throttle,
    "concurrency": Gating._read_concurrency,
    "priority": Gating._read_priority,
}
"""In the order in which gates stand."""
