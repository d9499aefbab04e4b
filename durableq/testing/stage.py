"""The verbs of an environment, once: what both of its forms do, and what both look at.

`settle` executes what is due by the virtual clock; `advance` moves the clock from one due time to the next, and settles at
each. A duty is whatever a scheduler would do at a time of its own: it says when it is next due, and does it when asked.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from durableq.app import App
from durableq.including import import_included
from durableq.model.event import Event
from durableq.model.routing import RoutingTable
from durableq.model.run import State
from durableq.services.sender import Prepared, send
from durableq.services.waker import Waker
from durableq.store.calls import Calls
from durableq.store.events import Events
from durableq.store.reads import Reads
from durableq.store.registry import Registry
from durableq.store.scripts import load_scripts
from durableq.store.timers import Timers
from durableq.testing.clock import VirtualClock
from durableq.testing.crashes import Crashes
from durableq.testing.crew import Crew
from durableq.testing.errors import EnvError, EnvFailure
from durableq.testing.server import MemoryServer
from durableq.testing.stubs import Stubs
from durableq.words.clock import SystemClock
from durableq.words.errors import ConfigError

T = TypeVar("T")


class Duty(NamedTuple):
    """Something of a scheduler's."""

    next_at_ms: Callable[[], Awaitable[int | None]]
    do: Callable[[], Awaitable[Any]]


class Stage:
    """One environment: a server, a clock, a crew. Opened in the loop of its first verb, and used in no other."""

    def __init__(self, apps: Sequence[App], now_ms: int | None, patience_s: float, at_once: int) -> None:
        self.apps = apps
        self._declarations = _declarations(apps)
        self.functions = {full_id: place for place, full_id in enumerate(self._declarations)}
        """The place of each, by full id: apps in the order given, functions in that of their declaration."""
        self.table = RoutingTable(0, self._declarations)
        self.clock = VirtualClock(SystemClock().wall_ms() if now_ms is None else now_ms)
        self.stubs = Stubs()
        self.crashes = Crashes()
        self._patience_s = patience_s
        self._server = MemoryServer(self.clock, _namespace(apps), load_scripts())
        self._crew = Crew(self._server, apps, self.stubs, self.crashes, at_once)
        self._restore: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: Calls | None = None
        self._duties: list[Duty] = []
        self._begun = self._ended = False

    def begin(self) -> None:
        """From here on the apps' clients send here."""
        self.check_not_ended()
        if self._begun:
            raise EnvError("this environment has begun already: make another one")
        self._begun = True
        self._restore = [app.client._go_through(self._server.calls) for app in self.apps]

    # --- verbs

    async def opened(self) -> Calls:
        """This loop's verbs of the store. Raises EnvError after the end, and in another loop than the first."""
        self.check_open()
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            await self._server.open()
            self._calls = calls = self._server.calls()
            for app in self.apps:
                declarations = {id: self._declarations[function.full_id] for id, function in app.functions.items()}
                await Registry(calls).register_app(app.id, "test", declarations)
            timers = Timers(calls)
            self._duties.append(Duty(timers.next_at_ms, Waker(timers).run_once))
            await self._crew.begin()
        elif self._loop is not loop:
            raise EnvError("this environment belongs to another event loop: make one in each test")
        assert self._calls is not None
        return self._calls

    async def send(self, events: Event[Any] | Sequence[Event[Any]]) -> list[str]:
        prepared = Prepared(events, self.apps[0].client._limits, self.clock)
        return await send(Events(await self.opened()), prepared)

    async def settle(self) -> None:
        """Execute until nothing is due at this time. Raises EnvFailure when code executes for too long."""
        await self.opened()
        progress, since_s = self._crew.progress, time.monotonic()
        while True:
            fired = await self._fire_due()
            if not await self._crew.round() and not fired:
                return
            if fired or self._crew.progress != progress:
                progress, since_s = self._crew.progress, time.monotonic()
            elif time.monotonic() - since_s > self._patience_s:
                raise await self._stuck()

    async def advance(self, length_ms: int) -> None:
        """Let this much time pass, stopping wherever something is due."""
        await self.settle()
        target_ms = self.clock.now_ms + length_ms
        while True:
            next_ms = await self._next_due_ms()
            if next_ms is None or next_ms > target_ms:
                break
            self.clock.move_to(next_ms)
            await self.settle()
        self.clock.move_to(target_ms)
        await self.settle()

    async def run_to_end(self, at_most_ms: int) -> None:
        """Let time pass until every run is final. Raises EnvFailure when that takes longer."""
        calls = await self.opened()
        until_ms = self.clock.now_ms + at_most_ms
        await self.settle()
        while True:
            left = await Reads(calls).newest(list(self.functions), [state for state in State if not state.final], 10)
            if not left:
                return
            next_ms = await self._next_due_ms()
            if next_ms is None or next_ms > until_ms:
                named = ", ".join(f"{row.function} {row.id} ({row.state.label})" for row in left)
                why = "nothing is due that could end" if next_ms is None else "still not final at the end of at_most:"
                raise EnvFailure(f"{why} {named}")
            self.clock.move_to(next_ms)
            await self.settle()

    async def end(self) -> None:
        """Stop user code, wait until it is left."""
        self.close()
        if self._loop is asyncio.get_running_loop():
            await self._crew.leave()

    def close(self) -> None:
        """The same, from where nothing can be awaited."""
        self._ended = True
        for restore in self._restore:
            restore()
        self._restore.clear()
        if self._loop is not None and not self._loop.is_closed():
            self._crew.let_go("the environment has ended")

    def check_open(self) -> None:
        """Raise EnvError before the beginning and after the end."""
        self.check_not_ended()
        if not self._begun:
            raise EnvError("this environment has not begun: write `with TestEnv(app) as env`, or `async with`")

    def check_not_ended(self) -> None:
        if self._ended:
            raise EnvError("this environment has ended: use it inside its `with` block, or in the test of its fixture")

    # --- looking

    def look(self, question: Callable[[Calls], Coroutine[Any, Any, T]]) -> T:
        """The answer to a question to the store, at once, also from inside a running loop."""
        self.check_open()

        async def ask() -> T:
            return await question(self._server.calls())

        if not in_loop():
            return _run(ask())
        answers: list[T] = []
        errors: list[BaseException] = []

        def in_thread() -> None:
            try:
                answers.append(_run(ask()))
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=in_thread, name="durableq-look")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return answers[0]

    # --- within

    async def _next_due_ms(self) -> int | None:
        times = [at_ms for duty in self._duties if (at_ms := await duty.next_at_ms()) is not None]
        return min(times, default=None)

    async def _fire_due(self) -> bool:
        fired = False
        for duty in self._duties:
            at_ms = await duty.next_at_ms()
            if at_ms is not None and at_ms <= self.clock.now_ms:
                await duty.do()
                fired = True
        return fired

    async def _stuck(self) -> EnvFailure:
        calls = await self.opened()
        rows = [await Reads(calls).row(run_id) for run_id in self._crew.in_hand()]
        bodies = dict(self.stubs.begun.keys())
        named = ", ".join(
            f"{row.function} {row.id}" + (f" (last step begun: {bodies[row.id]!r})" if row.id in bodies else "")
            for row in rows
            if row is not None
        )
        self._crew.let_go("the test's patience is over")
        return EnvFailure(
            f"{named}: executing for {self._patience_s:g} s of real time without a step or an end. What does it wait for? "
            "TestEnv(app, patience=…) allows more"
        )


def _declarations(apps: Sequence[App]) -> dict[str, bytes]:
    """What the registry is told of each function, by full id. Raises ConfigError."""
    if not apps:
        raise ConfigError("TestEnv takes the app whose functions are tested: TestEnv(app)")
    for app in apps:
        if not isinstance(app, App):
            raise ConfigError(f"TestEnv takes an App, not {app!r}")
        import_included(app)
        if not app.functions:
            raise ConfigError(
                f"app {app.id!r} has no functions. Import the modules that declare them, or name them in App(include=[…])"
            )
    if len({app.id for app in apps}) < len(apps):
        raise ConfigError(f"TestEnv was given two apps of one id: {', '.join(app.id for app in apps)}")
    return {function.full_id: function.declaration() for app in apps for function in app.functions.values()}


def _namespace(apps: Sequence[App]) -> str:
    named = {app.namespace for app in apps if app.namespace is not None}
    if len(named) > 1:
        raise ConfigError(
            f"apps of different namespaces never meet: {', '.join(sorted(named))}. Make a TestEnv for each"
        )
    return named.pop() if named else "default"


def in_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    # With a factory the runner leaves the thread's current event loop as it was.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(coroutine, context=contextvars.copy_context())
