"""The verbs of an environment, once: what both of its forms do, and what both look at.

`settle` executes what is due by the virtual clock; `advance` moves the clock from one due time to the next, and settles at
each. A duty is whatever a scheduler would do at a time of its own: it says when it is next due, and does it when asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from durableq.app import App
from durableq.model.cron import TICK_NAME
from durableq.model.event import Event
from durableq.model.event.batch import first_given
from durableq.model.invoking import encode_invoked
from durableq.model.routing import RoutingTable
from durableq.model.run import State
from durableq.services.cancelling import cancel, check_there
from durableq.services.committer import Retention
from durableq.services.declared import Declared
from durableq.services.sender import Prepared, send
from durableq.services.signalling import give, prepare_signal
from durableq.services.starting import SHARD, Start, Starter
from durableq.services.ticker import Ticker
from durableq.services.waker import Waker
from durableq.store.calls import Calls
from durableq.store.crons import Crons
from durableq.store.events import Events
from durableq.store.flow_reads import FlowReads
from durableq.store.reads import Reads, RunRow
from durableq.store.registry import Registry
from durableq.store.runs import Runs
from durableq.store.timers import Timers
from durableq.testing.apps import declarations_of, have_crons, namespace_of
from durableq.testing.clock import VirtualClock
from durableq.testing.crashes import Crashes
from durableq.testing.crew import Crew
from durableq.testing.errors import EnvError, EnvFailure
from durableq.testing.hearing import Hearing
from durableq.testing.looking import at_once
from durableq.testing.quiet import OnlyTrouble
from durableq.testing.rescue import Rescue
from durableq.testing.server import MemoryServer
from durableq.testing.stubs import Stubs
from durableq.testing.sweep import Sweep
from durableq.testing.waiting import Waiting
from durableq.words.clock import SystemClock
from durableq.words.ids import started_run_id
from durableq.words.telemetry import get_log

T = TypeVar("T")

AT_ONCE_S: Final = 10.0
"""A server in this process answers while it is asked."""
LEFT_MAX: Final = 1000
TURNS_MAX: Final = 50_000
"""At one moment of virtual time: ten times what the largest `send` starts."""


class Duty(NamedTuple):
    """Something of a scheduler's."""

    next_at_ms: Callable[[], Awaitable[int | None]]
    do: Callable[[], Awaitable[Any]]


class Stage:
    """One environment: a server, a clock, a crew. Opened in the loop of its first verb, and used in no other."""

    def __init__(self, apps: Sequence[App], now_ms: int | None, patience_s: float, concurrency: int) -> None:
        self.apps = apps
        self._declarations = declarations_of(apps)
        self.functions = {full_id: place for place, full_id in enumerate(self._declarations)}
        """The place of each, by full id: apps in the order given, functions in that of their declaration."""
        self.hearing = Hearing(apps, RoutingTable(0, self._declarations))
        self._ticks = have_crons(apps)
        declared = [function for app in apps for function in app.functions.values()]
        self._holding = [function.full_id for function in declared if function.flow.debounce or function.flow.batch]
        """Functions that hold events back."""
        self.clock = VirtualClock(SystemClock().wall_ms() if now_ms is None else now_ms)
        self.stubs = Stubs()
        self.crashes = Crashes()
        self._patience_s = patience_s
        self._server = MemoryServer(self.clock, namespace_of(apps))
        self._crew = Crew(self._server, apps, self.stubs, self.crashes, concurrency)
        self._restore: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: Calls | None = None
        self._duties: list[Duty] = []
        self._begun = self._ended = False
        self._waiting = Waiting(self.settle, lambda: self._loop)
        self._invoked = self._last_invoked_ms = 0

    def begin(self) -> None:
        """From here on the apps' clients send here."""
        self.check_not_ended()
        if self._begun:
            raise EnvError("this environment has begun already: make another one")
        self._begun = True
        self._restore = [app.client._go_through(self._server.calls, self._waiting.turn) for app in self.apps]

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
            self._duties.append(Duty(timers.next_at_ms, Waker(timers, Retention().failed).run_once))
            sweep = Sweep(calls, self.clock)
            self._duties.append(Duty(sweep.next_at_ms, sweep.do))
            rescue = Rescue(calls, self.clock, self._crew.leases)
            self._duties.append(Duty(rescue.next_at_ms, rescue.do))
            if self._ticks:
                crons = Crons(calls)
                ticker = Ticker(crons, Declared(Registry(calls)), OnlyTrouble(get_log()))
                self._duties.append(Duty(crons.next_at_ms, ticker.run_once))
            await self._crew.begin()
        elif self._loop is not loop:
            raise EnvError("this environment belongs to another event loop: make one in each test")
        assert self._calls is not None
        return self._calls

    async def send(self, events: Event[Any] | Sequence[Event[Any]]) -> list[str]:
        prepared = Prepared(events, self.apps[0].client._limits, self.clock)
        sent = await send(Events(await self.opened()), prepared)
        self._crew.hint()
        return sent

    async def invoke(self, function: str, data: Any) -> str:
        """Start a run, which nothing executes yet, and return its id."""
        calls = await self.opened()
        self._invoked += 1
        # As events are: what is started at one moment is in order.
        self.clock.move_to(self._last_invoked_ms + 1)
        self._last_invoked_ms = self.clock.now_ms
        run_id = started_run_id(f"test {self._invoked}", function, self.clock.now_ms, SHARD)
        given = encode_invoked(function, run_id, data, self.apps[0].client._limits, self._wanted(function))
        await Starter(calls, "").start(Start(run_id, function, given), AT_ONCE_S)
        return run_id

    async def send_signal(self, signal: str, data: Any) -> str | None:
        given = prepare_signal(signal, data, self.apps[0].client._limits)
        return await give(await self.opened(), given, AT_ONCE_S)

    async def cancel(self, run_id: str) -> bool:
        """Whether it is cancelled by this. Raises RunNotFound."""
        found = await cancel(await self.opened(), [run_id], "env.cancel")
        check_there(found, namespace_of(self.apps))
        return found[0].cancelled

    async def settle(self) -> None:
        """Execute until nothing is due at this time. Raises EnvFailure when code executes for too long, or never rests."""
        await self.opened()
        with self._waiting.turning():
            await self._settle()

    async def _settle(self) -> None:
        progress, since_s = self._crew.progress, time.monotonic()
        turns_max = self._crew.turns + TURNS_MAX
        while True:
            if self._crew.turns > turns_max:
                raise EnvFailure(
                    f"{TURNS_MAX} turns of runs were executed at {self.clock.now:%Y-%m-%d %H:%M:%S} and there are more. "
                    "Do functions start each other without end?"
                )
            fired = await self._fire_due()
            if not await self._crew.round() and not fired:
                return
            if self.stubs.misused is not None:
                self._crew.let_go("the test is over")
                raise self.stubs.misused
            self._waiting.turned(len(self._crew.in_hand()), did=fired or self._crew.did)
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
        """Let time pass until every run is final, but for those of ticks on the way, and no event is held back any more.

        EnvFailure when that takes longer.
        """
        await self.opened()
        begun_ms = self.clock.now_ms
        until_ms = begun_ms + at_most_ms
        await self.settle()
        while True:
            left = [f"{row.function} {row.id} ({row.state.label})" for row in await self._left(begun_ms)]
            left += await self._held_back(begun_ms)
            if not left:
                return
            next_ms = await self._next_due_ms()
            if next_ms is None or next_ms > until_ms:
                named = ", ".join(left[:10])
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

    def look(self, question: Callable[[Calls], Coroutine[Any, Any, T]]) -> T:
        """The answer to a question to the store, at once, also from inside a running loop."""
        self.check_open()
        return self.look_back(question)

    def look_back(self, question: Callable[[Calls], Coroutine[Any, Any, T]]) -> T:
        """The same, also after the end."""

        async def ask() -> T:
            return await question(self._server.calls())

        return at_once(ask)

    # --- within

    def _wanted(self, full_id: str) -> Any:
        """The type of the data that a function's context names."""
        functions = [function for app in self.apps for function in app.functions.values()]
        return next(function.event_type for function in functions if function.full_id == full_id)

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

    async def _left(self, begun_ms: int) -> list[RunRow]:
        """Runs that are not final. While time passes there are always further ticks: what they start now does not count."""
        calls = await self.opened()
        states = [state for state in State if not state.final]
        rows = await Reads(calls).newest(list(self.functions), states, LEFT_MAX)
        if not self._ticks:
            return rows
        inputs = [await Runs(calls).read_input(row.id) for row in rows]
        return [
            row
            for row, given in zip(rows, inputs, strict=True)
            if row.created_at_ms <= begun_ms or first_given(given, row.created_at_ms).head().name != TICK_NAME
        ]

    async def _held_back(self, begun_ms: int) -> list[str]:
        """Debounces and batches that are going to be runs; with crons those that were there at the beginning, as of runs."""
        if not self._holding:
            return []
        reads = FlowReads(await self.opened())
        held = [(name, row) for name in self._holding for row in (await reads.held_back(name, LEFT_MAX))[1]]
        words = {"D": "a debounce", "B": "a batch"}
        return [f"{name} ({words[row.letter]})" for name, row in held if not self._ticks or row.since_ms <= begun_ms]

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
