"""What the suspension of a run in hand is made of."""

from __future__ import annotations

from typing import Any

from durableq.engine.port import NewWait
from durableq.model.function import Function
from durableq.services.notes import note_of
from durableq.store.runs import SuspendWrite


def leaves_late(function: Function[Any]) -> bool:
    """Whether its code is left when its turn has ended (engine/leaving.py), and keeps slots until then."""
    return bool(function.flow.concurrency or function.flow.singleton) and function.is_async


def suspend_write(run_id: str, epoch: int, seen: int, wait: NewWait, *, last: int) -> SuspendWrite:
    """The write that begins this wait, one of those with which the run is suspended."""
    return SuspendWrite(
        run_id, epoch, seen, wait.key, str(wait.kind), wait.blob, wait.due_at_ms, note_of(wait.note), last
    )
