"""A run in hand that tells the log what becomes of it: for `durableq dev`, where a person watches.

A line is written once Redis has confirmed what it says. What failed is told by the engine (`step failed`) and by the
executor (`run.failed`), here as elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from durableq.engine.environment import Environment
from durableq.engine.port import EventWait, Invocation, News, NewWait, Recorded, SignalWait, StepNote
from durableq.model.event import first_given
from durableq.model.failure import Failure
from durableq.model.function import Function
from durableq.model.memo import Memo, MemoKind
from durableq.model.outcome import AttemptFailed, Completed, Outcome
from durableq.model.stack import own_line
from durableq.services.committer import Committer
from durableq.services.executor import Beginnings, RunInHand
from durableq.services.hand import Hand
from durableq.services.views import error_view
from durableq.store.records import Claimed
from durableq.store.runs import Runs
from durableq.words.clock import ServerClock
from durableq.words.errors import CodecError
from durableq.words.periods import format_ms
from durableq.words.telemetry import Log

Wait = TypeVar("Wait", EventWait, SignalWait, Invocation)


class NarratedRun(RunInHand):
    """The same port for the same run, and a line for each thing that happens to it."""

    __slots__ = ("_awaited",)

    def __init__(
        self,
        claimed: Claimed,
        committer: Committer,
        clock: ServerClock,
        hand: Hand,
        log: Log,
        lapsed: Callable[[], None],
        beginnings: Beginnings,
    ) -> None:
        app, _, function = claimed.function.partition("/")
        bound = log.bind(app=app, function=function, run=claimed.id)
        super().__init__(claimed, committer, clock, hand, bound, lapsed, beginnings)
        self._awaited: dict[str, tuple[str, str]] = {}
        """By key of what this turn has begun to wait for: the step's id, and what it waits for."""

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

    def await_event(self, wait: EventWait) -> asyncio.Future[int]:
        return self._told(wait, f"event {wait.event_name}", super().await_event)

    def await_signal(self, wait: SignalWait) -> asyncio.Future[int]:
        return self._told(wait, f"signal {wait.signal}", super().await_signal)

    def invoke(self, invocation: Invocation) -> asyncio.Future[int]:
        return self._told(invocation, f"run {invocation.child} of {invocation.function}", super().invoke)

    def deliver(self, news: News) -> None:
        for key, memo in news:
            if key in self._awaited:
                step, what = self._awaited.pop(key)
                self._log.info("step.answered", step=step, by=_answer(memo, what))
        super().deliver(news)

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

    def _tell_cancelled(self, why: str) -> None:
        self._log.info("run.cancelled", why=why)

    def _tell_failed(self, failure: Failure) -> None:
        error, at = f"{failure.name}: {failure.message}", own_line(failure.stack)
        self._log.warning("run.failed", error=error, at=at, took_ms=self.now_ms() - self.claimed.begun_at_ms)

    def _told(self, wait: Wait, what: str, begin: Callable[[Wait], asyncio.Future[int]]) -> asyncio.Future[int]:
        """Begin this wait, and tell what is waited for; unless it was answered before it began, which `deliver` tells."""
        self._awaited[wait.key] = wait.note.step_id, what

        def tell(_: int) -> None:
            if wait.key in self._awaited:
                within = format_ms(max(0, wait.due_at_ms - self.now_ms()))
                self._log.info("step.waiting", step=wait.note.step_id, waits_for=what, within=within)

        begun = begin(wait)
        _once_done(begun, tell)
        return begun

    def _tell_wait(self, kind: MemoKind, due_at_ms: int, note: StepNote) -> None:
        if kind is MemoKind.SLEEPING:
            # Up to the next 10 ms: the few that have passed since it was asked for are no news.
            for_ms = -(-max(0, due_at_ms - self.now_ms()) // 10) * 10
            self._log.info("step.sleeping", step=note.step_id, sleeps=format_ms(for_ms))

    def _event_name(self) -> str:
        """The name of the event that started it; "" where that is too large to have come with the claim."""
        try:
            claimed = self.claimed
            return first_given(claimed.input, claimed.created_at_ms).head().name if claimed.input is not None else ""
        except CodecError:
            return ""


def _answer(memo: Memo, what: str) -> str:
    """What has ended a wait for `what`."""
    match memo.kind:
        case MemoKind.TIMED_OUT:
            return f"{what} did not come in time"
        case MemoKind.ERROR:
            error = error_view(memo.blob)
            return f"{error.name}: {error.message}"
        case _:
            return what


def _once_done(future: asyncio.Future[Any], tell: Callable[[Any], None]) -> None:
    """Tell the result, if there comes to be one."""

    def told(done: asyncio.Future[Any]) -> None:
        if not done.cancelled() and done.exception() is None:
            tell(done.result())

    future.add_done_callback(told)
