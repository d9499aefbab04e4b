"""Asks: one call of a step by user code, from the moment it is awaited until it is answered or withdrawn."""

from __future__ import annotations

from enum import Enum

from durableq.engine.branch import Pending
from durableq.engine.port import AnyWait


class Stage(Enum):
    """How far an ask has come. It says what a cancellation by user code has to undo."""

    ASKED = "asked"
    """Nothing was begun."""
    TOLD = "told"
    """Its result is recorded and waits for its turn to be told."""
    QUEUED = "queued"
    """Its body, or its wait, has yet to begin."""
    BODY = "body"
    """Its body may execute, or does."""
    FLIGHT = "flight"
    """Its result is on its way to the store."""
    WAITING = "waiting"
    """It is a durable wait that has begun."""
    PARKED = "parked"
    """It was abandoned in an earlier turn and waits to be cancelled again."""
    DONE = "done"


class Ask:
    """One step that user code waits for."""

    __slots__ = (
        "asked_at_ms",
        "attempt",
        "due_at_ms",
        "future",
        "key",
        "op",
        "patience_ms",
        "stage",
        "started_at_ms",
        "step_id",
        "wait",
        "written",
    )

    def __init__(self, key: str, step_id: str, op: str, asked_at_ms: int) -> None:
        self.key = key
        self.step_id = step_id
        self.op = op
        self.asked_at_ms = asked_at_ms
        self.stage = Stage.ASKED
        self.future: Pending | None = None
        """What its task awaits, if it awaits us."""
        self.attempt = 0
        self.started_at_ms = 0
        """When its body began; 0 before."""
        self.wait: AnyWait | None = None
        """The durable wait that it is, or is in: a sleep, a wait for something, or the delay before an attempt."""
        self.due_at_ms = 0
        """When that wait ends. The store's clock may move it later than the wait says, a scheduler to now."""
        self.written = False
        """Whether the store has the wait, or is being told."""
        self.patience_ms = 0
        """Of a parked step: how long its cancellation may take, from how long it took the first time."""
