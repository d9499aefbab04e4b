"""Bodies: executing one attempt of a step's callable, wherever it belongs.

    callable            in an `async` function          in a `def` function
    async def           in the task that asks           on the loop, in the task that serves the asking thread
    def                 in a thread of the pool         in the asking thread

A plain callable may also give an awaitable (`lambda: fetch(url)`): it is awaited on the loop.

A body past its timeout fails with StepTimeout. An async one is cancelled; a thread cannot be, so it is abandoned: counted
until it ends, and no other attempt of the step starts in this process before.
"""

from __future__ import annotations

import asyncio
import inspect
from asyncio import AbstractEventLoop, CancelledError
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from inspect import CO_COROUTINE
from typing import TYPE_CHECKING, Any

from durableq.engine.branch import Pending
from durableq.engine.given_up import GivenUp
from durableq.engine.scope import HERE, Scope
from durableq.words.errors import StepTimeout
from durableq.words.periods import format_ms

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

Body = Callable[[], Any]


async def execute(replay: Replay, scope: Scope, fn: Callable[..., Any], body: Body, timeout_ms: int | None) -> Any:
    """What the body returns. `body` is the call of `fn`, the user's callable, whose kind says where it is executed."""
    if timeout_ms is None:
        return await _execute(replay, scope, fn, body)
    timeout = asyncio.timeout(timeout_ms / 1000)
    try:
        async with timeout:
            return await _execute(replay, scope, fn, body)
    except TimeoutError as error:
        if not timeout.expired():
            raise  # the body's own
        raise StepTimeout(f"step {scope.step_id!r} ran longer than its timeout of {format_ms(timeout_ms)}") from error


async def _execute(replay: Replay, scope: Scope, fn: Callable[..., Any], body: Body) -> Any:
    if is_async(fn):
        return await body()
    value = await _execute_plain(replay, scope, body)
    return await value if inspect.isawaitable(value) else value


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling this gives a coroutine, as far as its declaration says."""
    code = getattr(fn, "__code__", None)
    if code is not None and code.co_flags & CO_COROUTINE:
        return True  # nearly always decided here, in a tenth of the time
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


async def _execute_plain(replay: Replay, scope: Scope, body: Body) -> Any:
    edge = replay.current.edge if replay.current is not None else None
    environment = replay.environment
    if edge is not None:
        work = Work(
            partial(_as_step, scope, body), replay.loop, environment.abandoned, replay.run.run_id, scope.step_key
        )
        edge.give(work)
    else:
        body = partial(copy_context().run, body)
        work = Work(body, replay.loop, environment.abandoned, replay.run.run_id, scope.step_key)
        environment.body_threads.submit(work)
    return await work.done()


def _as_step(scope: Scope, body: Body) -> Any:
    """The body in the asking thread's own context, so that context variables which the function has set are seen."""
    token = HERE.set(scope)
    try:
        return body()
    finally:
        HERE.reset(token)


class Work:
    """One plain body in a thread. Calling it is the thread's part; everything else happens on the loop."""

    __slots__ = ("_abandoned", "_body", "_future", "_given_up", "_loop", "_name", "_result", "ended")

    def __init__(self, body: Body, loop: AbstractEventLoop, abandoned: GivenUp, run_id: str, step_key: str) -> None:
        self._body = body
        self._loop = loop
        self._abandoned = abandoned
        self._name = (run_id, step_key)
        self._future = Pending(loop=loop)
        self._result: tuple[Any, BaseException | None] = (None, None)
        self._given_up = False
        self.ended = False

    def __call__(self) -> None:
        try:
            value, error = self._body(), None
        except BaseException as raised:
            value, error = None, raised
        try:
            tell_loop(self._loop, self._end, value, error)
        finally:
            del value, error  # its traceback holds this frame

    async def done(self) -> Any:
        """What the body returned. If this is cancelled, the thread is given up on."""
        try:
            await self._future
        except CancelledError:
            if not self.ended:
                self._given_up = True
                self._abandoned.add(*self._name)
            raise
        (value, error), self._result = self._result, (None, None)
        try:
            if isinstance(error, StopIteration):
                raise RuntimeError("a step's body raised StopIteration") from error  # which no coroutine may raise
            if error is not None:
                raise error
            return value
        finally:
            del error

    def _end(self, value: Any, error: BaseException | None) -> None:
        self.ended = True
        if self._given_up:
            self._abandoned.ended(*self._name)
        elif not self._future.done():
            self._result = (value, error)
            self._future.set_result(None)


def tell_loop(loop: AbstractEventLoop, callback: Callable[..., None], *args: Any) -> None:
    """Call this on the loop, from a thread. Nothing happens if the loop is closed: the process is going."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise
