"""Ledgers written by hand, for the tests of the judges. Times are ms from a beginning."""

from __future__ import annotations

from typing import Any

from tests.ledger.flow.facts import Body, Deploy, Facts, Left, Ran, Sent
from tests.ledger.flow.gather import event_names
from tests.ledger.flow.judge import JUDGES

BEGAN = 1_000_000
NAMES = event_names()


class Making:
    """Facts that grow by calls. What is not said is as it would be if all were well."""

    def __init__(self) -> None:
        self.facts = Facts({}, {}, [], [], [Deploy(0, 0, 0)], [])

    def sent(self, program: str, at_ms: int, key: str = "k", ts_ms: int = 0, **data: Any) -> str:
        """An event. Returns its id."""
        number = len(self.facts.sent)
        event_id = f"e{number}"
        given = {"key": key, "id": event_id, "rank": 0, **data}
        name = NAMES[program]
        self.facts.sent[event_id] = Sent(event_id, name, (BEGAN + at_ms, number), given, ts_ms and BEGAN + ts_ms)
        return event_id

    def ran(
        self,
        program: str,
        *events: str,
        begun_ms: int,
        ended_ms: int,
        admitted_ms: int = 0,
        state: str = "completed",
        bodies: tuple[tuple[float, float], ...] | None = None,
        crashes: tuple[tuple[int, str], ...] = (),
        why: str = "",
    ) -> str:
        """A run of these events, with one body from its beginning to its end unless others are given. Returns its id."""
        run_id = f"r{len(self.facts.runs)}"
        taken = tuple((BEGAN + at_ms, reason) for at_ms, reason in crashes)
        begun, ended, admitted = (BEGAN + ms if ms else 0 for ms in (begun_ms, ended_ms, admitted_ms))
        self.facts.runs[run_id] = Ran(run_id, program, events, begun, ended, state, admitted, taken, why)
        if bodies is None:
            bodies = ((begun_ms, ended_ms),) if begun_ms else ()
        for began, until in bodies:
            self.body(run_id, began, until)
        return run_id

    def quick(self, program: str, at_ms: int, begun_ms: int = 0, **given: Any) -> str:
        """An event and its run of 10 ms."""
        begun_ms = begun_ms or at_ms
        ended_ms = given.pop("ended_ms", begun_ms + 10)
        admitted_ms = given.pop("admitted_ms", at_ms)
        event = self.sent(program, at_ms, **given)
        return self.ran(program, event, begun_ms=begun_ms, ended_ms=ended_ms, admitted_ms=admitted_ms)

    def body(self, run_id: str, began_ms: float, ended_ms: float) -> None:
        events = self.facts.runs[run_id].events
        assert isinstance(self.facts.bodies, list)
        self.facts.bodies.append(Body(run_id, 1, "turn", BEGAN + began_ms, BEGAN + ended_ms, events))

    def left(self, program: str, event: str, at_ms: int, reason: str, other: str = "") -> None:
        assert isinstance(self.facts.left, list)
        self.facts.left.append(Left(program, BEGAN + at_ms, event, reason, "", other))

    def replaced(self, program: str, event: str, at_ms: int, by: str) -> None:
        """A debounced event gave way to another."""
        ms, sequence = self.facts.sent[by].place
        self.left(program, event, at_ms, "debounce", f"{ms}-{sequence}")

    def deployed(self, generation: int, began_ms: float, stood_ms: float) -> None:
        assert isinstance(self.facts.deploys, list)
        self.facts.deploys.append(Deploy(generation, BEGAN + began_ms, BEGAN + stood_ms))

    def struck(self, from_ms: float, to_ms: float) -> None:
        assert isinstance(self.facts.blows, list)
        self.facts.blows.append((BEGAN + from_ms, BEGAN + to_ms, "a fault"))

    def says(self, judge: str) -> list[str]:
        """What one judge says."""
        return list(JUDGES[judge](self.facts, NAMES))
