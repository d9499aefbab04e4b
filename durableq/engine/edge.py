"""The edge between a thread of user code and the loop: what makes a `def` function out of the one engine, in asyncio.

Each thread of a `def` function (its own, and one per branch of `parallel`) is served by one task of the run. The thread
asks, and sleeps; the task performs the step as an `async` function would, sends a plain body back to be executed in the
thread, and answers. So ordering, suspension and retries are decided in one place.

    thread   call() ----request----> serve() ... performs the step ... give(work) ----> executes the body
                    <---answer-----                                   <----result-----

Invariants: `busy` is set while the thread executes function code, in which the run cannot be at rest. The thread is in
`call` whenever it is not busy and has not ended. After `interrupt` every call raises RunInterrupt.

A body past its timeout keeps the thread. The step goes on without it (its error is recorded, its retry waits); if there is
an answer and the thread is not back yet, the function is called again from the top in another thread.
"""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Callable, Coroutine
from contextvars import Context as Variables
from functools import partial
from queue import SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from durableq.engine.bodies import Work, tell_loop
from durableq.engine.branch import Pending
from durableq.engine.interrupts import RunInterrupt
from durableq.engine.threads import Threads

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

Request = Callable[[], Coroutine[Any, Any, Any]]

_REFUSALS_QUICK = 10
_REFUSAL_S = 0.05


class _Answer(NamedTuple):
    value: Any
    error: BaseException | None


class _End(NamedTuple):
    value: Any
    error: BaseException | None


def _given(what: _Answer | _End) -> Any:
    """Its value, or raises its error, whose traceback must not hold what holds it: such a cycle waits for the collector."""
    value, error = what
    del what
    try:
        if error is not None:
            raise error
        return value
    finally:
        del error


class Edge:
    """One thread of user code and the task that serves it."""

    __slots__ = (
        "_given_up",
        "_inbox",
        "_interrupted",
        "_next",
        "_refusals",
        "_replay",
        "_work",
        "busy",
        "ended",
        "ident",
        "interrupt_raised",
        "let_pass",
    )

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._inbox: SimpleQueue[_Answer | Work | None] = SimpleQueue()
        self._next: Pending | None = None
        self._work: Work | None = None
        self._interrupted = False
        self._given_up = False
        self._refusals = 0
        self.ident = 0
        self.busy = False
        self.ended: Future[None] = replay.loop.create_future()
        """Resolves when the thread has left user code."""
        self.interrupt_raised: RunInterrupt | None = None
        """The first interrupt that was raised in the thread; its traceback says how far it came."""
        self.let_pass = False
        """Whether the thread ended by letting an interrupt pass."""

    # --- On the loop.

    async def serve(self, threads: Threads, main: Callable[[], Any], variables: Variables) -> Any:
        """Run `main` in a thread and serve it until it ends. Returns or raises what it does."""
        replay = self._replay
        if replay.current is not None:
            replay.current.edge = self
        replay.edges.append(self)
        self._set_busy(True)
        try:
            threads.submit(partial(self._run, main, variables))
        except RuntimeError:  # the system gives no more threads
            self._set_busy(False)
            self.ended.set_result(None)
            raise
        while True:
            self._next = Pending(loop=replay.loop)
            request = await self._next
            if isinstance(request, _End):
                self._next = None
                try:
                    return _given(request)
                finally:
                    del request
            try:
                value, error = await request(), None
            except Exception as raised:
                value, error = None, raised
            if self.stuck:
                replay.restart()
                await Pending(loop=replay.loop)
            self._set_busy(True)
            self._inbox.put(_Answer(value, error))
            del value, error

    def give(self, work: Work) -> None:
        """Have the thread, which is in `call`, execute a body."""
        self._work = work
        self._inbox.put(work)

    @property
    def stuck(self) -> bool:
        """Whether the thread still executes a body that was given up on."""
        return self._work is not None and not self._work.ended

    @property
    def swallows(self) -> bool:
        """Whether user code has caught an interrupt and gone on."""
        if self.interrupt_raised is None:
            return False
        return not self.let_pass if self.ended.done() else self._refusals > _REFUSALS_QUICK

    def interrupt(self) -> None:
        """End the thread's user code at its next step, or at the one that it is in."""
        if self._interrupted or self.ended.done():
            return
        self._interrupted = True
        if not self.busy:
            self._inbox.put(None)
            self._set_busy(not self.stuck)

    def give_up(self) -> None:
        """The turn ends without waiting for the thread any longer; if it still runs, it is counted until it ends."""
        if not self.ended.done() and not self.stuck:
            self._given_up = True
            self._replay.environment.abandoned.add(self._replay.run.run_id, "")

    def _post(self, request: Request) -> None:
        if self._interrupted:
            self._inbox.put(None)
            return
        self._set_busy(False)
        if self._next is not None and not self._next.done():
            self._next.set_result(request)

    def _end(self, value: Any, error: BaseException | None) -> None:
        self._set_busy(False)
        self.let_pass = isinstance(error, RunInterrupt)
        self.ended.set_result(None)
        if self._given_up:
            self._replay.environment.abandoned.ended(self._replay.run.run_id, "")
        if self._next is not None and not self._next.done():
            self._next.set_result(_End(value, error))

    def _set_busy(self, busy: bool) -> None:
        if busy is not self.busy:
            self.busy = busy
            self._replay.thread_is_busy(busy)

    # --- In the thread.

    def call(self, request: Request) -> Any:
        """Have the step performed, executing its body here if it is plain. Raises RunInterrupt when the turn is over."""
        if self._interrupted:
            raise self._interruption()
        tell_loop(self._replay.loop, self._post, request)
        while (order := self._inbox.get()) is not None:
            if isinstance(order, _Answer):
                try:
                    return _given(order)
                finally:
                    del order
            order()
            del order  # it holds what the body returned
        raise self._interruption()

    def _run(self, main: Callable[[], Any], variables: Variables) -> None:
        self.ident = get_ident()
        self._replay.edge_of[self.ident] = self
        try:
            value, error = variables.run(main), None
        except BaseException as raised:
            value, error = None, raised
        try:
            tell_loop(self._replay.loop, self._end, value, error)
        finally:
            del value, error  # its traceback holds this frame

    def _interruption(self) -> RunInterrupt:
        interrupt = RunInterrupt("the turn is over; durableq will call the function again")
        if self.interrupt_raised is None:
            self.interrupt_raised = interrupt
        self._refusals += 1
        if self._refusals > _REFUSALS_QUICK:
            time.sleep(_REFUSAL_S)  # `while True: try: step … except: pass` must not take a processor
        return interrupt
