"""What judges go by: plain data, so that a test can write a good or a broken ledger by hand. gather.py fills it in.

All times are wall clock ms of one machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.ledger.flow.names import program_of

Place = tuple[int, int]


@dataclass(frozen=True)
class Sent:
    """An accepted event: its place in the stream is the time of its acceptance, and says what came before what."""

    id: str
    name: str
    place: Place
    data: Mapping[str, Any]
    ts_ms: int = 0

    @property
    def at_ms(self) -> int:
        return self.place[0]

    @property
    def key(self) -> str:
        return str(self.data["key"])


@dataclass(frozen=True)
class Ran:
    """A run. `admitted_ms`: when it was let in, where that is known; `crashes`: when it was taken from a holder, and why."""

    id: str
    function: str
    events: tuple[str, ...]
    begun_ms: int
    ended_ms: int
    state: str
    admitted_ms: int = 0
    crashes: tuple[tuple[int, str], ...] = ()
    why: str = ""
    """Of a cancelled one."""


@dataclass(frozen=True)
class Left:
    """A trigger that started nothing, as the function's record of skips has it. `other`: a run's id or an event's place."""

    function: str
    at_ms: int
    event: str
    reason: str
    key: str = ""
    other: str = ""


@dataclass(frozen=True)
class Body:
    """A body of user code while its process held the run: until it ended, its process died, or its run was taken away."""

    run_id: str
    pid: int
    what: str
    began_ms: float
    ended_ms: float
    events: tuple[str, ...] = ()
    delayed_ms: float = 0.0
    """How long its process may have stood still between the claim and the body."""


@dataclass(frozen=True)
class Deploy:
    """A generation became the newest between these two moments."""

    generation: int
    began_ms: float
    stood_ms: float


@dataclass
class Facts:
    """A whole ledger."""

    sent: dict[str, Sent]
    runs: dict[str, Ran]
    left: Sequence[Left] = ()
    bodies: Sequence[Body] = ()
    deploys: Sequence[Deploy] = ()
    blows: Sequence[tuple[float, float, str]] = ()
    """Faults: from when to when each was going on, and its name."""
    over_ms: float = field(default=0.0)

    def in_force(self, from_ms: float, to_ms: float) -> set[int]:
        """The generations whose numbers may have stood at some time between."""
        found = set()
        for deploy, following in zip(self.deploys, [*self.deploys[1:], None], strict=True):
            replaced_ms = following.stood_ms if following else float("inf")
            if deploy.began_ms <= to_ms and replaced_ms >= from_ms:
                found.add(deploy.generation)
        return found or {0}

    def calm(self, from_ms: float, to_ms: float, after_ms: float) -> bool:
        """Whether no fault went on in this time, nor had for `after_ms` before it."""
        return not any(began <= to_ms and ended + after_ms >= from_ms for began, ended, _ in self.blows)

    def data_of(self, run: Ran) -> Mapping[str, Any]:
        """What its keys were made of: of a batch its first event."""
        return self.sent[run.events[0]].data

    @cached_property
    def runs_by_key(self) -> dict[tuple[str, str], list[Ran]]:
        """Runs by function and key, in the order of their (first) events."""
        found = defaultdict(list)
        for run in self.runs.values():
            found[run.function, str(self.data_of(run)["key"])].append(run)
        for runs in found.values():
            runs.sort(key=lambda run: self.sent[run.events[0]].place)
        return found

    @cached_property
    def throttled(self) -> dict[tuple[str, str], list[Ran]]:
        """Runs by function and key of its throttle, those that began, in that order."""
        found = defaultdict(list)
        for (function, key), runs in self.runs_by_key.items():
            program = program_of(function)
            if program.throttle:
                found[function, key if program.throttle_by else ""] += [run for run in runs if run.begun_ms]
        for runs in found.values():
            runs.sort(key=lambda run: run.begun_ms)
        return found

    @cached_property
    def bodies_by_run(self) -> dict[str, list[Body]]:
        found = defaultdict(list)
        for body in sorted(self.bodies, key=lambda body: body.began_ms):
            found[body.run_id].append(body)
        return found

    def triggers(self, function: str, name: str) -> Iterator[tuple[str, list[Sent]]]:
        """The events of this name by key, each key's in order."""
        by_key = defaultdict(list)
        for event in self.sent.values():
            if event.name == name:
                by_key[event.key].append(event)
        for key, events in by_key.items():
            yield key, sorted(events, key=lambda event: event.place)

    @cached_property
    def run_of(self) -> dict[tuple[str, str], Ran]:
        """By function and event."""
        return {(run.function, event): run for run in self.runs.values() for event in run.events}

    @cached_property
    def left_of(self) -> dict[tuple[str, str], Left]:
        """By function and event."""
        return {(each.function, each.event): each for each in self.left}


def named(run: Ran) -> str:
    return f"{run.function} {run.id}"


def worst(figures: Iterable[float]) -> float:
    return max(figures, default=0.0)
