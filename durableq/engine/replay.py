"""A replay: one call of the function from the top, memos answering the steps already done, until the turn is decided.

It owns the tasks and threads that the function's code runs in and drives them through the phases (phase.py): it starts the
root, sleeps until the root has ended or the conductor wants to suspend, and leaves user code.

Invariants: `play` returns an outcome once, or None for "call the function again". Nothing is asked of the port in LEAVING and
OVER, but for the suspension of a `def` function, which is left first (leaving.py says why).
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from durableq.engine.branch import Branch, Root
from durableq.engine.conductor import Conductor
from durableq.engine.context import Context
from durableq.engine.edge import Edge
from durableq.engine.heard import Heard
from durableq.engine.leaving import leave, swallowed_by
from durableq.engine.naming import Naming
from durableq.engine.phase import Phase
from durableq.engine.port import News, NewWait
from durableq.engine.reading import Reading
from durableq.engine.scope import HERE, Scope
from durableq.engine.sync import SyncContext
from durableq.engine.verdict import outcome_of
from durableq.model.failure import Failure
from durableq.model.outcome import Abandoned, Failed, Outcome, Suspended

if TYPE_CHECKING:
    from durableq.engine.execution import Execution


class Replay:
    """One call of the function. `play` is called once. The rest is for the engine's own modules, on the loop."""

    __slots__ = (
        "_conductor",
        "_end",
        "_heard",
        "_left_behind",
        "_lost",
        "_signal",
        "branches",
        "busy_threads",
        "current",
        "edge_of",
        "edges",
        "ends",
        "environment",
        "events",
        "executing",
        "execution",
        "failed",
        "function",
        "loop",
        "memos",
        "moves",
        "naming",
        "outside",
        "phase",
        "port",
        "reading",
        "refusals",
        "reports",
        "restarting",
        "root",
        "run",
        "steps",
    )

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.run = execution.claimed
        self.events = execution.events
        self.function = execution.function
        self.environment = execution.environment
        self.port = execution.port
        self.memos = execution.memos
        self.loop = execution.loop
        self.reports = execution.reports
        self.outside = execution.outside
        """Where callbacks of ours run: the context around the run's."""

        self.phase = Phase.RUNNING
        self.root: Root | None = None
        self.branches: set[Branch] = set()
        """The tasks that the function has started and that have not ended; the root is not among them."""
        self.failed: list[Branch] = []
        """Those that have ended with an error, of which the function may not have heard yet."""
        self.edges: list[Edge] = []
        self.edge_of: dict[int, Edge] = {}
        """By the ident of the thread."""
        self.current: Branch | None = None
        """The branch that is executing right now."""
        self.moves = 0
        self.ends = 0
        """How often a branch was resumed, and how many have ended: what settling watches."""
        self.refusals = 0
        """How many steps were asked for while user code was being left."""
        self.busy_threads = 0
        """How many threads execute function code, between two steps."""

        self.executing: dict[str, str] = {}
        """The steps whose bodies execute now: their ids by key."""
        self.reading = Reading(len(self.memos.by_key), self.run.created_at_ms, self.reports)
        self.naming = Naming(self.environment.key_of)
        self.steps = len(self.memos.by_key)
        """How many steps the run has, recorded or asked for."""
        self._conductor: Conductor | None = None
        self._heard: Heard | None = None

        self.restarting = False
        """Whether the function has to be called again from the top, as soon as nothing is under way."""
        self._signal: Future[None] | None = None
        self._end: tuple[Any, BaseException | None] | None = None
        self._left_behind: Sequence[str] = ()
        """The steps in tasks that had not begun when the function returned."""
        self._lost: Abandoned | None = None

    # --- The turn.

    async def play(self) -> Outcome | None:
        """Call the function and see it through. None: it has to be called again from the top, in the same turn."""
        try:
            self._call_function()
            outcome: Outcome | None = None
            while outcome is None and not self._may_restart():
                if not self._has_news():
                    self._signal = self.loop.create_future()
                    await self._signal
                if self.phase is Phase.SUSPENDING and self._lost is None and self._end is None:
                    outcome = await self._suspend()
                else:
                    outcome = self._outcome()
            return outcome
        finally:
            await leave(self)
            self._let_go()

    def _outcome(self) -> Outcome | None:
        if self._lost is not None:
            return self._lost
        if self._end is None:
            return None
        unawaited = [] if self.branches else self.naming.close()  # a branch that never began may hold the coroutine
        self.reports.never_awaited(unawaited)
        self.reports.left_behind([step_id for step_id in self._left_behind if step_id not in unawaited])
        return outcome_of(self, *self._end)

    def _let_go(self) -> None:
        """Cut what points back at us, so that everything goes with its last reference and nothing waits for the collector.

        Not while code that was given up on may still ask; the collector takes those.
        """
        self._end = None  # an error knows the frames that it came through
        if self.branches or not all(edge.ended.done() for edge in self.edges):
            return
        if self.root is None or self.root.task_done:
            self.root = self._conductor = self._heard = None
            for branch in self.failed:
                branch.task = None
            self.failed.clear()
            for edge in self.edges:
                edge.interrupt_raised = None
            self.edges.clear()
            self.edge_of.clear()

    def _call_function(self) -> None:
        variables, scope = self.outside.copy(), Scope(self, self.run.attempt)
        variables.run(HERE.set, scope)
        try:
            if self.function.is_async:
                coroutine = self.function.handler(Context(self, scope))
            else:
                edge, context = Edge(self), SyncContext(self, scope)
                main = partial(self.function.handler, context)
                coroutine = edge.serve(self.environment.function_threads, main, variables.copy())
        except Exception as error:  # it cannot be called with a context
            self.root_ended(None, error)
            return
        self.root = Root(self, coroutine)
        self.root.task = Task(self.root, loop=self.loop, name=self.function.id, context=variables)

    async def _suspend(self) -> Outcome | None:
        """Ask the store to suspend the run. None if there is news, or the turn was lost: look again."""
        waits = self.conductor.new_waits()
        self.reports.timeouts(self)
        left_first = bool(self.edges)
        if left_first:
            await leave(self)
            line = swallowed_by(self.edges)
            if line is not None:
                return Failed(Failure.of(line))
        seen = self.memos.seen
        news = await self._ask_to_suspend(waits)
        if self._lost is not None:
            return None
        if news is None:
            return Suspended()
        if not news and not self.conductor.flights.count:
            self.memos.bridge()
            if self.memos.seen == seen:  # asking again would get the same answer, for ever
                self.lost(f"the run has a result above {seen} that nothing can tell")
                return None
        if left_first:
            self.restarting = True
            for key, memo in news:
                self.memos.learn(key, memo)
        else:
            self.phase = Phase.RUNNING
            self.learn(news)
            self.conductor.touch()
        return None

    async def _ask_to_suspend(self, waits: Sequence[NewWait]) -> News | None:
        call = self.conductor.flights.call(lambda: asyncio.ensure_future(self.port.suspend(self.memos.seen, waits)))
        call.add_done_callback(lambda _: self.wake())
        while not call.done() and self._lost is None:
            await self._woken()
        if not call.done():
            call.cancel()
            return None
        error = None if call.cancelled() else call.exception()
        if call.cancelled() or error is not None:
            if error is None:
                self.lost("the port cancelled a call")
            else:
                self.lost(f"{type(error).__name__}: {error}", type(error))
            return None
        return call.result()

    def _has_news(self) -> bool:
        return self._lost is not None or self._end is not None or self.phase is Phase.SUSPENDING

    def _may_restart(self) -> bool:
        """Whether the function may be called again: what is under way would be missing from the record it reads."""
        return self.restarting and not self.conductor.flights.count and not self.conductor.bodies and self._lost is None

    async def _woken(self) -> None:
        self._signal = self.loop.create_future()
        await self._signal

    def wake(self) -> None:
        """Let the turn look at what has changed."""
        if self._signal is not None and not self._signal.done():
            self._signal.set_result(None)

    # --- What the turn is told.

    def root_ended(self, value: Any, error: BaseException | None) -> None:
        """The function has returned or raised."""
        self._end = (value, error)
        if self.branches and error is None:
            self._left_behind = self.naming.unbegun()
        self.wake()

    def branch_ended(self, branch: Branch, *, failed: bool) -> None:
        """A task of the run has ended."""
        self.branches.discard(branch)
        if self._heard is not None:
            self._heard.ended(branch)
        if failed:
            self.failed.append(branch)
        self.ends += 1
        self.conductor.touch()

    def thread_is_busy(self, busy: bool) -> None:
        """A thread has begun or ceased to execute function code."""
        self.busy_threads += 1 if busy else -1
        self.moves += 1  # its task is about to be resumed, with what it asks for: the run has not come to rest
        if not busy and self.branches:
            self.conductor.touch()

    def suspend(self) -> None:
        """Nothing can go on: the conductor wants to suspend."""
        self.phase = Phase.SUSPENDING
        self.wake()

    def stop_deciding(self) -> None:
        """The turn is decided."""
        if self._conductor is not None:
            self._conductor.stop()

    def restart(self) -> None:
        """The function must be called again from the top: there is an answer for a thread that is not there to take it."""
        self.restarting = True
        self.wake()

    def landed(self) -> None:
        """A call to the port has been answered."""
        if self.restarting:
            self.wake()

    def lost(self, reason: str, cause: type[BaseException] | None = None) -> None:
        """The run is no longer ours. `cause` is what a call to the port raised."""
        if self._lost is None:
            self._lost = Abandoned(reason, cause)
            self.execution.ask_to_stop()
            self.wake()

    def learn(self, news: News) -> None:
        """Take in memos that are newer than ours."""
        for key, memo in news:
            if self.memos.learn(key, memo):
                self.conductor.news(key, memo)
            else:
                self.conductor.touch()  # its number may be what others wait for

    # --- What steps and contexts ask.

    @property
    def conductor(self) -> Conductor:
        """Made for the first step: a function without any never needs it."""
        if self._conductor is None:
            self._conductor = Conductor(self)
        return self._conductor

    @property
    def heard(self) -> Heard:
        """Made for the first wait for an event."""
        if self._heard is None:
            self._heard = Heard(self)
        return self._heard

    @property
    def alone(self) -> bool:
        """Whether the root is asking and nothing else of the run exists that could race with it."""
        return self.current is self.root and not self.branches and self.phase is Phase.RUNNING

    @property
    def ended(self) -> bool:
        """Whether the function has returned or raised by itself."""
        return self._end is not None

    @property
    def over(self) -> bool:
        """Whether user code has been left. Tasks that it still starts are none of the run's."""
        return self.phase is Phase.OVER

    @property
    def bytes_recorded(self) -> int:
        """The stored size of the run: its events and its memos."""
        return self.run.events_bytes + self.memos.size_bytes

    def living_branches(self) -> Iterator[Branch]:
        """The root and the branches."""
        if self.root is not None:
            yield self.root
        yield from list(self.branches)
