"""`ctx`: what an `async` function is given. And the part of it that `def` functions have in common with it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Generic
from uuid import UUID

from typing_extensions import TypeVar

from durableq.engine.logger import ReplaySilentLogger
from durableq.engine.scope import HERE, Scope
from durableq.engine.steps import Step
from durableq.model.event import Event
from durableq.words.familiar import familiar

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

T = TypeVar("T", default=dict[str, Any])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BaseContext(Generic[T]):
    """What every function can ask about its run. T is the type of the event's data."""

    __slots__ = ("_own", "_replay")

    def __init__(self, replay: Replay, own: Scope) -> None:
        """`own` is the scope of the function's code."""
        self._replay = replay
        self._own = own

    @property
    def event(self) -> Event[T]:
        """The event that started the run; the first one of a batch."""
        return self._replay.events[0]

    @property
    def events(self) -> list[Event[T]]:
        """All events of the run: one, or the batch."""
        return list(self._replay.events)

    @property
    def run_id(self) -> str:
        """The run's id, 26 characters that sort by time."""
        return self._replay.run.run_id

    @property
    def attempt(self) -> int:
        """The attempt that asks, from 0: inside a step's body that step's, outside the function's."""
        return self._scope.attempt

    @property
    def logger(self) -> ReplaySilentLogger:
        """A structlog logger bound to app, function, run, attempt and step. Silent while memos are replayed."""
        return self._scope.logger

    def now(self) -> datetime:
        """When the last memo seen was recorded, or the run created: the same on every replay. In UTC."""
        return _EPOCH + timedelta(milliseconds=self._replay.reading.now_ms)

    @property
    def random(self) -> Random:
        """Chance that is the same on every replay; inside a step's body, a sequence of that attempt's own."""
        return self._scope.random

    def uuid4(self) -> UUID:
        """A random UUID, drawn from `random`."""
        return UUID(int=self._scope.random.getrandbits(128), version=4)

    @property
    def cancelled(self) -> threading.Event:
        """Set as soon as the run is cancelled, or lost to this worker: what is done from then on is not recorded.

        For code in threads, which cannot be stopped from outside; an `async` body is cancelled as a task. A long one looks
        now and then, and returns:

            while not ctx.cancelled.wait(1):
                poll_once()
        """
        return self._replay.execution.cancelled

    @property
    def _scope(self) -> Scope:
        here = HERE.get()
        return here if here is not None and here.replay is self._replay else self._own


@familiar
class Context(BaseContext[T]):
    """What an `async` function is given."""

    __slots__ = ("step",)

    def __init__(self, replay: Replay, own: Scope) -> None:
        super().__init__(replay, own)
        self.step = Step(replay, own)
        """The verbs: run, sleep, sleep_until, wait_for_event, wait_for_signal, send_signal, invoke, send_event, options."""
