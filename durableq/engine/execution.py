"""The execution of one turn: a run in hand, from its claim to its outcome.

It holds what survives a call of the function (the memos, the last number seen) and calls the function from the top, once
as a rule; again if a `def` function had to be left and there was news.

Authority: the store, through the port. Failures: a port that fails, or `abandon`, ends the turn as Abandoned; nothing is
recorded afterwards.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import CancelledError
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from durableq.engine.branch import install
from durableq.engine.environment import Environment
from durableq.engine.memos import Memos
from durableq.engine.port import News, Port
from durableq.engine.replay import Replay
from durableq.engine.reports import Reports
from durableq.model.event import Event
from durableq.model.event.fact import trusted_event
from durableq.model.failure import Failure
from durableq.model.function import Function
from durableq.model.memo import Memo
from durableq.model.outcome import Abandoned, Failed, Outcome
from durableq.words.typed import load_data


@dataclass(slots=True)
class ClaimedRun:
    """A run as it was claimed. `memos` becomes the execution's own."""

    run_id: str
    function_id: str
    app_id: str
    events: list[Event[Any]]
    """At least one; several for a batch."""
    attempt: int = 0
    """Of the code between steps, from 0."""
    sequence: int = 0
    """The number of the run's last result."""
    memos: dict[str, Memo] = field(default_factory=dict)
    created_at_ms: int = 0
    events_bytes: int = 0
    """The stored size of its events, which count towards the run's."""


class Execution:
    """One turn of one run. `run` is called once."""

    __slots__ = (
        "_abandoned",
        "_cancelled",
        "_replay",
        "_stopping",
        "claimed",
        "environment",
        "events",
        "function",
        "loop",
        "memos",
        "outside",
        "port",
        "reports",
    )

    def __init__(self, function: Function[Any], run: ClaimedRun, port: Port, environment: Environment) -> None:
        self.function = function
        self.claimed = run
        self.reports = Reports(environment, run)
        self.port = port
        self.environment = environment
        self.events = run.events
        self.memos = Memos(run.memos, run.sequence)
        self.loop = asyncio.get_running_loop()
        self.outside = copy_context()
        self._replay: Replay | None = None
        self._abandoned: str | None = None
        self._cancelled: threading.Event | None = None
        self._stopping = False

    @property
    def seen(self) -> int:
        """The last number up to which everything is known; `record`, `wait` and `fire` name it."""
        return self.memos.seen

    @property
    def executing(self) -> list[str]:
        """The ids of the steps whose bodies execute now."""
        return [] if self._replay is None else list(self._replay.executing.values())

    async def run(self) -> Outcome:
        """Execute user code until the turn is decided. Never raises for anything that user code does."""
        install(self.loop)
        try:
            self._load_events()
        except CancelledError:
            raise
        except BaseException as error:  # the user's own class is asked to hold the data, and may even exit
            return Failed(Failure.of(error))
        while self._abandoned is None:
            self._replay = replay = Replay(self)
            try:
                outcome = await replay.play()
            finally:
                self._replay = None
            if outcome is not None:
                return outcome
        return Abandoned(self._abandoned)

    def deliver(self, news: News) -> None:
        """Take in results from outside: waits that somebody else has ended."""
        if self._replay is not None:
            self._replay.learn(news)
        else:
            for key, memo in news:
                self.memos.learn(key, memo)

    def abandon(self, reason: str = "the run was taken from this worker") -> None:
        """The run was cancelled, or is lost to this worker: stop user code, record nothing.

        `cancelled` is set at once; tasks of the run are cancelled within a few turns of the loop.
        """
        self._abandoned = reason
        self.ask_to_stop()
        if self._replay is not None:
            self._replay.lost(reason)

    @property
    def cancelled(self) -> threading.Event:
        """Set when the run is dropped. For any thread; made when first asked for, since few functions do."""
        event = self._cancelled
        if event is None:
            with self.environment.making:
                event = self._cancelled
                if event is None:
                    event = self._cancelled = threading.Event()
            if self._stopping:
                event.set()  # whoever asked us to stop may have looked before there was one
        return event

    def ask_to_stop(self) -> None:
        """Tell threads, which cannot be cancelled, that nothing of what they do will be recorded."""
        self._stopping = True
        if self._cancelled is not None:
            self._cancelled.set()

    def _load_events(self) -> None:
        wanted = self.function.event_type
        if wanted is not None:
            self.events = [_with_data(event, load_data(event.data, wanted, what="event.data")) for event in self.events]


def _with_data(event: Event[Any], data: Any) -> Event[Any]:
    return trusted_event(event.name, data, event.id, event.ts, event.user, event.v)
