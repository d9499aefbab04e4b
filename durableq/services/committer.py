"""Group commit: writes of all runs that are decided within one turn of the loop travel together.

Authority: the order of a run's writes is the engine's (it awaits what must come first); the committer only batches.
One call per verb and turn, at most 100 items and 1 MB; a larger value goes alone. The future of a write resolves with
the answer of its item. STALE and LEASE_LOST end in `Stale`: whoever holds the run drops it at once. QUEUE_FULL, which only
invokes can be told, is given to each write of the call: nothing of it was done.

Failures. While Redis is away the link keeps the calls and sends them again when it is back, so a step that has run is
recorded as long as its run is ours. An error that no rule expects is given to the write that met it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from durableq.store.calls import BATCH, Calls
from durableq.store.failures import LeaseLost
from durableq.store.invokes import Invokes, InvokeWrite
from durableq.store.records import STALE
from durableq.store.runs import (
    Answers,
    FinishWrite,
    FireWrite,
    LeaveWrite,
    ReleaseWrite,
    RetryWrite,
    Runs,
    StepWrite,
    SuspendWrite,
    WaitWrite,
)
from durableq.store.signals import Signals, SignalWait
from durableq.store.waits import AwaitWrite, Waits
from durableq.words.clock import ServerClock
from durableq.words.errors import QueueFull, RedisUnavailable, StateLost
from durableq.words.telemetry import Log

BATCH_BYTES: Final = 1_000_000

Write = (
    StepWrite
    | WaitWrite
    | AwaitWrite
    | SignalWait
    | InvokeWrite
    | FireWrite
    | LeaveWrite
    | SuspendWrite
    | RetryWrite
    | FinishWrite
    | ReleaseWrite
)

Verb = Callable[[str, Sequence[Any]], Awaitable[Answers]]

Waiting = tuple[Any, asyncio.Future[Any], Callable[[Any], Any] | None]
"""A write, whom to answer, and how its answer is read."""


class Stale(Exception):
    """The run is not ours any more; nothing of it can be written."""


class Retention(NamedTuple):
    """How many finished runs each function keeps."""

    completed: int = 10_000
    failed: int = 10_000


class Committer:
    """Collects writes of one child under one lease at a time."""

    def __init__(
        self,
        runs: Runs,
        clock: ServerClock,
        log: Log,
        *,
        retention: Retention,
        on_lease_lost: Callable[[str], None],
        on_state_lost: Callable[[StateLost], None],
        calls: Calls | None = None,
    ) -> None:
        """`calls` are for the verbs that begin waits for something from outside; without them there are none."""
        self._runs = runs
        self._clock = clock
        self._log = log
        self._retention = retention
        self._on_lease_lost = on_lease_lost
        self._on_state_lost = on_state_lost
        self._loop = asyncio.get_running_loop()
        self._pending: dict[type[Write], list[Waiting]] = {}
        self._flushing = False
        self._travelling: set[asyncio.Task[None]] = set()
        self.lease = ""
        """The lease under which everything is written."""
        # In this order those of one turn are applied. What begins goes before what ends the turn.
        self._verbs: dict[type[Any], Verb] = {
            StepWrite: runs.record_steps,
            WaitWrite: runs.record_waits,
            **(_beginnings(calls) if calls is not None else {}),
            FireWrite: runs.fire_waits,
            LeaveWrite: runs.leave_slots,
            SuspendWrite: runs.suspend_runs,
            RetryWrite: runs.retry_runs,
            FinishWrite: self._finish,
            ReleaseWrite: runs.release_runs,
        }

    def add(self, write: Write, read: Callable[[Any], Any] | None = None) -> asyncio.Future[Any]:
        """Take a write for this turn's commit. The future has its answer, read by `read`, or Stale."""
        future = self._loop.create_future()
        try:
            self._pending[type(write)].append((write, future, read))
        except KeyError:
            self._pending[type(write)] = [(write, future, read)]
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return future

    @property
    def idle(self) -> bool:
        """Whether every write has been answered."""
        return not self._pending and not self._travelling

    def _finish(self, lease: str, writes: Sequence[FinishWrite]) -> Awaitable[Answers]:
        return self._runs.finish_runs(lease, writes, self._retention.completed, self._retention.failed)

    def _flush(self) -> None:
        self._flushing = False
        pending, self._pending = self._pending, {}
        for kind in self._verbs:
            if kind in pending:
                for batch in batches(pending[kind]):
                    sending = self._loop.create_task(self._send(kind, self.lease, batch))
                    self._travelling.add(sending)
                    sending.add_done_callback(self._travelling.discard)

    async def _send(self, kind: type[Any], lease: str, batch: list[Waiting]) -> None:
        try:
            answers = await self._verbs[kind](lease, [write for write, _, _ in batch])
        except LeaseLost:
            _fail(batch, Stale())
            self._on_lease_lost(lease)
        except StateLost as lost:
            _fail(batch, Stale())
            self._on_state_lost(lost)
        except RedisUnavailable as error:
            # Only when the link is closed: this process leaves while Redis is away. What may have been written stands.
            self._log.warning("commit.not_confirmed", verb=kind.__name__, items=len(batch), reason=str(error))
            _fail(batch, Stale())
        except Exception as error:
            if not (isinstance(error, QueueFull) and kind is InvokeWrite):
                self._log.error("commit.failed", verb=kind.__name__, items=len(batch), error=str(error))
            _fail(batch, error)
        else:
            self._clock.saw(answers.now_ms)
            for (_, future, read), answer in zip(batch, answers.items, strict=True):
                if future.done():
                    continue
                if answer is STALE:
                    future.set_exception(Stale())
                    continue
                try:
                    future.set_result(answer if read is None else read(answer))
                except Exception as error:  # of one item: the others are recorded, and wait for their answers
                    self._log.error("commit.failed", verb=kind.__name__, items=1, error=str(error))
                    future.set_exception(error)


def _beginnings(calls: Calls) -> dict[type[Any], Verb]:
    return {
        AwaitWrite: Waits(calls).await_events,
        SignalWait: Signals(calls).await_signals,
        InvokeWrite: Invokes(calls).invoke_runs,
    }


def _fail(batch: list[Waiting], error: Exception) -> None:
    for _, future, _ in batch:
        if not future.done():
            future.set_exception(error)


def _goes_on(write: Any) -> bool:
    """Whether the next write belongs to the same act: the waits with which one run is suspended."""
    return isinstance(write, SuspendWrite) and not write.last


def batches(pending: list[Waiting]) -> list[list[Waiting]]:
    """Split into calls of at most 100 items and 1 MB, in order; what is larger goes alone.

    The waits with which one run is suspended stay together, however many: apart, it could be put to sleep without some.
    """
    if len(pending) == 1:
        return [pending]
    found: list[list[Waiting]] = []
    size = BATCH_BYTES + 1
    # All are of one kind, so what is bytes in the first is in every one.
    places = [place for place, value in enumerate(pending[0][0]) if isinstance(value, bytes)]
    for entry in pending:
        length = 0
        for place in places:
            length += len(entry[0][place])
        full = size + length > BATCH_BYTES or len(found[-1]) >= BATCH
        if full and not (found and _goes_on(found[-1][-1][0])):
            found.append([])
            size = 0
        found[-1].append(entry)
        size += length
    return found
