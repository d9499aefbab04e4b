"""What a declaration asks for when a run of it is created: gates of flow control, events that cancel it, a time to begin by.

Put into the bytes that `lib/dress_run.lua` reads, for whoever creates a run: router, ticker, invoke, start from outside. A
part that another release has declared and that cannot be read here is left out, and named in `faults`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from durableq.model.filing import condition, file_under
from durableq.model.gating import Gating, KeyFault, gating_of
from durableq.words.errors import DurableqError

SILENT: Final = "s"
"""Of a run whose end is told to nobody (decision 010), nor what it invokes."""

HUSHED: Final = "i"
"""Of a run of which nobody is told what it invokes, since it was started by such a thing."""


class Listener(NamedTuple):
    """An event that cancels the run, if the condition holds. `timeout_ms` 0: as long as the run lives."""

    event: str
    if_: str | None
    timeout_ms: int


class Dressing(NamedTuple):
    """What the runs of one declaration are created with."""

    listeners: tuple[Listener, ...] = ()
    start_ms: int = 0
    faults: tuple[str, ...] = ()
    gating: Gating | None = None
    """Of a function with flow control."""

    @classmethod
    def of(cls, declared: Mapping[str, Any], function: str = "") -> Dressing:
        """What this declaration of the registry asks for. `function` is its full id, with which names of gates begin."""
        gating = gating_of(function, declared)
        if "cancel_on" not in declared and "timeouts" not in declared:
            return PLAIN if gating is None else cls(gating=gating)
        listeners, faults = [], []
        given = declared.get("cancel_on") or ()
        for stored in given if isinstance(given, (list, tuple)) else (given,):
            try:
                listeners.append(_listener(stored))
            except (DurableqError, LookupError, TypeError, ValueError) as error:
                faults.append(f"cancel_on {stored!r:.200}: {error}")
        start_ms = 0
        try:
            start_ms = int((declared.get("timeouts") or {}).get("start_ms") or 0)
        except (AttributeError, TypeError, ValueError) as error:
            faults.append(f"timeouts {declared['timeouts']!r:.200}: {error}")
        return cls(tuple(listeners), start_ms, tuple(faults), gating)

    def made(
        self, event: Mapping[str, Any], flags: str = "", *, direct: bool = False
    ) -> tuple[bytes, Sequence[KeyFault]]:
        """`extras`, and what was wrong with keys of flow control. `direct`: as `Gating.gates` has it."""
        if self.gating is None:
            return self.extras(event, flags), ()
        gates, faults = self.gating.gates(event, direct=direct)
        return (gates + self.extras(event, flags) if flags or self.listeners or self.start_ms else gates), faults

    def extras(self, event: Mapping[str, Any], flags: str = "") -> bytes:
        """As `dress_run` reads it; b"" when there is nothing. `event` is the run's own, as expressions see it."""
        parts = [f"{flags or '-'} {self.start_ms} ".encode()]
        for name, if_, timeout_ms in self.listeners:
            if if_ is not None and not condition(if_).can_hold({"event": event}):
                continue  # nothing that arrives could make it hold
            filing = file_under(name, if_, event)
            stored = name.encode()
            one = f"{filing.path} {filing.bucket} {filing.anyhow} {timeout_ms} {len(stored)} ".encode()
            one += stored + filing.tail
            parts.append(b"%d %s" % (len(one), one))
        extras = b"".join(parts)
        return b"" if extras == b"- 0 " else extras


PLAIN: Final = Dressing()


def extras_of(declared: Mapping[str, Any], event: Mapping[str, Any], *, silent: bool = False) -> bytes:
    """What a new run of this declaration is created with; b"" when that is nothing.

    `declared` is the decoded declaration of the registry, `event` the run's own event as expressions see it
    (`EventHead.scope()`). A silent run's end makes no system event.
    """
    return Dressing.of(declared).extras(event, SILENT if silent else "")


def _listener(stored: Mapping[str, Any]) -> Listener:
    name, if_, timeout_ms = stored["event"], stored.get("if"), stored.get("timeout_ms") or 0
    if not isinstance(name, str) or not name:
        raise TypeError("its event is no name")
    if if_ is not None:
        condition(if_)
    return Listener(name, if_, int(timeout_ms))
