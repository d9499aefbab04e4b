"""A run in hand that tells the log what becomes of it: for `durableq dev`, where a person watches.

A line is written once Redis has confirmed what it says. What failed is told by the engine (`step failed`) and by the
executor (`run.failed`), here as elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from durableq.engine.environment import Environment
from durableq.engine.port import News, NewWait, Recorded, StepNote
from durableq.model.event import read_head
from durableq.model.failure import Failure
from durableq.model.function import Function
from durableq.model.memo import MemoKind
from durableq.model.outcome import AttemptFailed, Completed, Outcome
from durableq.model.stack import own_line
from durableq.services.committer import Committer
from durableq.services.executor import RunInHand
from durableq.services.hand import Hand
from durableq.store.records import Claimed
from durableq.store.runs import Runs
from durableq.words.clock import ServerClock
from durableq.words.errors import CodecError
from durableq.words.periods import format_ms
from durableq.words.telemetry import Log


class NarratedRun(RunInHand):
    """The same port for the same run, and a line for each thing that happens to it."""

    __slots__ = ()

    def __init__(
        self,
        claimed: Claimed,
        committer: Committer,
        clock: ServerClock,
        hand: Hand,
        log: Log,
        lapsed: Callable[[], None],
    ) -> None:
        app, _, function = claimed.function.partition("/")
        bound = log.bind(app=app, function=function, run=claimed.id)
        super().__init__(claimed, committer, clock, hand, bound, lapsed)

    def record(self, key: str, kind: MemoKind, blob: bytes, note: StepNote) -> asyncio.Future[Recorded]:
        recorded = super().record(key, kind, blob, note)
        if kind is MemoKind.DATA:
            took_ms = note.ended_at_ms - note.started_at_ms
            _once_done(recorded, lambda _: self._log.info("step.recorded", step=note.step_id, took_ms=took_ms))
        return recorded

    def wait(self, key: str, kind: MemoKind, blob: bytes, due_at_ms: int, note: StepNote) -> asyncio.Future[int]:
        begun = super().wait(key, kind, blob, due_at_ms, note)
        _once_done(begun, lambda _: self._tell_wait(kind, due_at_ms, note))
        return begun

    def suspend(self, seen: int, waits: Sequence[NewWait]) -> asyncio.Future[News | None]:
        suspended = super().suspend(seen, waits)

        def told(news: News | None) -> None:
            # With news nothing was suspended, and the waits did not begin.
            for wait in waits if news is None else ():
                self._tell_wait(wait.kind, wait.due_at_ms, wait.note)

        _once_done(suspended, told)
        return suspended

    async def execute(self, function: Function[Any] | None, runs: Runs, environment: Environment) -> None:
        claimed = self.claimed
        if claimed.epoch > 1:
            self._log.info("run.resumed")
        else:
            self._log.info("run.started", by=self._event_name())
        await super().execute(function, runs, environment)

    async def _write(self, outcome: Outcome | None) -> None:
        await super()._write(outcome)
        match outcome:
            case Completed():
                self._log.info("run.completed", took_ms=self.now_ms() - self.claimed.begun_at_ms)
            case AttemptFailed(failure, attempt, delay_ms):
                self._log.warning(
                    "run.retrying",
                    attempt=attempt - 1,
                    error=f"{failure.name}: {failure.message}",
                    at=own_line(failure.stack),
                    retry_in=format_ms(delay_ms),
                )
            case _:
                pass

    def _tell_failed(self, failure: Failure) -> None:
        error, at = f"{failure.name}: {failure.message}", own_line(failure.stack)
        self._log.warning("run.failed", error=error, at=at, took_ms=self.now_ms() - self.claimed.begun_at_ms)

    def _tell_wait(self, kind: MemoKind, due_at_ms: int, note: StepNote) -> None:
        if kind is MemoKind.SLEEPING:
            # Up to the next 10 ms: the few that have passed since it was asked for are no news.
            for_ms = -(-max(0, due_at_ms - self.now_ms()) // 10) * 10
            self._log.info("step.sleeping", step=note.step_id, sleeps=format_ms(for_ms))

    def _event_name(self) -> str:
        """The name of the event that started it; "" where that is too large to have come with the claim."""
        try:
            return read_head(self.claimed.input).name if self.claimed.input is not None else ""
        except CodecError:
            return ""


def _once_done(future: asyncio.Future[Any], tell: Callable[[Any], None]) -> None:
    """Tell the result, if there comes to be one."""

    def told(done: asyncio.Future[Any]) -> None:
        if not done.cancelled() and done.exception() is None:
            tell(done.result())

    future.add_done_callback(told)
