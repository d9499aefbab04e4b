"""The two forms of a test environment: verbs that block, for `def` tests, and verbs that are awaited, for `async` ones."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from durableq.app import App
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.services.views import RunView
from durableq.testing.clock import length_ms, starting_ms
from durableq.testing.errors import EnvFailure
from durableq.testing.looking import in_loop
from durableq.testing.looks import Looks
from durableq.testing.stage import Stage
from durableq.words.errors import ConfigError, SyncInLoop
from durableq.words.periods import Duration, to_ms

T = TypeVar("T")

PATIENCE: Final = "30s"
AT_MOST: Final = "366d"
CONCURRENCY_MAX: Final = 100


class TestEnv(Looks):
    """Apps on a server in this process, with a worker and a scheduler that are turned by this object, and a virtual clock.

        with TestEnv(app) as env:                      async with TestEnv(app) as env:
            env.send("order/created", {"id": 7})           await env.send("order/created", {"id": 7})
            env.run_until_idle()                           await env.run_until_idle()

    Args:
        apps: The app, or several that share events. Their clients send to this environment until its end.
        now: When it begins: an aware datetime, ISO 8601 text with an offset, or unix seconds. By default the present; with
            a time of your own, run ids and with them `ctx.random` are the same in each run of the test.
        strict: Sending an event that starts no function is a failure, not a warning.
        concurrency: How many runs are begun at once. With 1, each follows the one before, unless that takes over 200 ms; so
            the order of what happens is the same each time.
        patience: Real time that user code may execute without a step or an end.

    Raises:
        ConfigError: An app has no functions, or an argument breaks a rule.
    """

    __test__ = False  # its name makes pytest want to collect it

    def __init__(
        self,
        *apps: App,
        now: datetime | str | float | None = None,
        strict: bool = False,
        concurrency: int = 1,
        patience: Duration = PATIENCE,
    ) -> None:
        if type(concurrency) is not int or not 1 <= concurrency <= CONCURRENCY_MAX:
            raise ConfigError(f"TestEnv concurrency must be 1 to {CONCURRENCY_MAX}, not {concurrency!r}")
        patience_s = to_ms("TestEnv patience", patience, minimum_ms=10) / 1000
        start_ms = None if now is None else starting_ms(now)
        super().__init__(Stage(apps, start_ms, patience_s, concurrency), strict=strict)
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    def send(self, events: Event[Any] | Sequence[Event[Any]] | str, data: Any = None, /) -> list[str]:
        """Send an event, a list of them, or `name, data`. Returns the events' ids. Nothing executes yet."""
        given = self._events_given(events, data)
        return self._wait("send(…)", self._stage.send(given))

    def invoke(self, function: str | Function[Any], data: Any = None, /) -> str:
        """Start a run of a function, without an event, with this data. Returns its id, for `env.run(id)`. Nothing executes yet.

        Raises:
            ConfigError: It names no one function of this environment.
            EventError: The data cannot be taken.
            RunSkipped: Flow control does not let it start.
        """
        return self._wait("invoke(…)", self._stage.invoke(self._full_id(function), data))

    def send_signal(self, signal: str, data: Any = None, /) -> str | None:
        """Give a signal to the run that waits for it. Returns that run's id; None when nobody waits."""
        return self._wait("send_signal(…)", self._stage.send_signal(signal, data))

    def cancel(self, run: RunView | str, /) -> bool:
        """Cancel a run, and the children that it awaits. Returns whether this did it: False if the run had ended before.

        Raises RunNotFound.
        """
        return self._wait("cancel(…)", self._stage.cancel(_id_of(run)))

    def run_until_idle(self) -> None:
        """Execute what is due now, and what comes of it, until nothing is left to do without time passing."""
        self._wait("run_until_idle()", self._stage.settle())

    def advance(self, duration: Duration) -> None:
        """Let time pass, at once: each sleep, retry, delayed event and tick comes at its own time, in order.

        Args:
            duration: "24h", a timedelta, or seconds; at most a hundred years.

        Raises:
            ConfigError: It is no duration, or negative.
        """
        self._wait("advance(…)", self._stage.advance(length_ms("advance", duration)))

    def run_to_end(self, *, at_most: Duration = AT_MOST) -> None:
        """Let time pass until every run is final, but for those that cron ticks start on the way.

        What is debounced or collected for a batch becomes a run first. Raises EnvFailure when one is not after `at_most`.
        """
        self._wait("run_to_end()", self._stage.run_to_end(length_ms("run_to_end at_most", at_most)))

    def __enter__(self) -> Self:
        self._check_no_loop("…")
        self._stage.begin()
        try:
            self._wait("…", self._stage.opened())
        except BaseException:
            self._close(failed=True)  # no __exit__ follows
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(failed=kind is not None)

    async def __aenter__(self) -> AsyncTestEnv:
        awaited = self._begin_awaited()
        try:
            await self._stage.opened()
        except BaseException:
            self._stage.close()  # no __aexit__ follows
            raise
        return awaited

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stage.end()
        self._check_promises(failed=kind is not None)

    def _begin_awaited(self) -> AsyncTestEnv:
        """Begin, and leave the opening to the first verb: a fixture is made outside the loop of its test."""
        self._stage.begin()
        return AsyncTestEnv(self._stage, strict=self._strict)

    def _close(self, *, failed: bool) -> None:
        """End from outside any loop. One that belongs to a loop of the test goes with that loop's tasks."""
        try:
            self._runner.run(self._stage.end())
        finally:
            self._runner.close()
        self._check_promises(failed=failed)

    def _check_promises(self, *, failed: bool) -> None:
        """Raise EnvFailure unless everything that the test has arranged has happened. A failed test has said enough."""
        if failed:
            return
        unkept = self._unkept()
        if unkept:
            raise EnvFailure(unkept)

    def _wait(self, verb: str, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            self._check_no_loop(verb)
            self._stage.check_open()
        except BaseException:
            coroutine.close()
            raise
        return self._runner.run(coroutine, context=contextvars.copy_context())

    def _check_no_loop(self, verb: str) -> None:
        if in_loop():
            raise SyncInLoop(
                f"this would block the running event loop: write `async with TestEnv(app) as env` and `await env.{verb}`"
            )


class AsyncTestEnv(Looks):
    """What `async with TestEnv(app)` gives: the same, with verbs that are awaited. Steps execute in the loop of the test."""

    async def send(self, events: Event[Any] | Sequence[Event[Any]] | str, data: Any = None, /) -> list[str]:
        """As `TestEnv.send`."""
        return await self._stage.send(self._events_given(events, data))

    async def invoke(self, function: str | Function[Any], data: Any = None, /) -> str:
        """As `TestEnv.invoke`."""
        return await self._stage.invoke(self._full_id(function), data)

    async def send_signal(self, signal: str, data: Any = None, /) -> str | None:
        """As `TestEnv.send_signal`."""
        return await self._stage.send_signal(signal, data)

    async def cancel(self, run: RunView | str, /) -> bool:
        """As `TestEnv.cancel`."""
        return await self._stage.cancel(_id_of(run))

    async def run_until_idle(self) -> None:
        """As `TestEnv.run_until_idle`."""
        await self._stage.settle()

    async def advance(self, duration: Duration) -> None:
        """As `TestEnv.advance`."""
        await self._stage.advance(length_ms("advance", duration))

    async def run_to_end(self, *, at_most: Duration = AT_MOST) -> None:
        """As `TestEnv.run_to_end`."""
        await self._stage.run_to_end(length_ms("run_to_end at_most", at_most))


def _id_of(run: RunView | str) -> str:
    if isinstance(run, RunView):
        return run.id
    if not isinstance(run, str):
        raise ConfigError(f"cancel takes a run or its id, not {run!r}")
    return run
