"""`ctx` of `def` functions: the same as in `async` ones, with verbs that block. A thin edge over the one engine.

Each verb makes the coroutine that the `async` verb would, and has it performed on the loop while the thread sleeps.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar, overload

from durableq.engine.admission import check_scope, refuse_uncallable
from durableq.engine.context import BaseContext
from durableq.engine.context import T as Data
from durableq.engine.edge import Edge
from durableq.engine.options import PLAIN, StepOptions
from durableq.engine.scope import HERE, Scope
from durableq.engine.steps import Step
from durableq.model.backoff import Backoff
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.model.signal import Signal
from durableq.words.errors import ConfigError
from durableq.words.familiar import familiar
from durableq.words.periods import Duration
from durableq.words.shown import shown

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

P = ParamSpec("P")
T = TypeVar("T")
Out = TypeVar("Out")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@familiar
class SyncStep:
    """The verbs of `ctx.step` in `def` functions. As `Step`, blocking; each may raise RunInterrupt, to be let pass."""

    __slots__ = ("_own", "_replay", "_step")

    def __init__(self, replay: Replay, own: Scope, options: StepOptions = PLAIN) -> None:
        self._replay = replay
        self._own = own
        self._step = Step(replay, own, options)

    @overload
    def run(self, id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(self, id: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def run(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Execute `fn(*args, **kwargs)` at least once and record what it returns, once.

        `def` is executed in this thread, `async def` on the engine's loop. Otherwise as `Step.run`.
        """
        if not callable(fn):
            refuse_uncallable(id, fn)
        return self._call(id, lambda: self._step.run(id, fn, *args, **kwargs))

    def sleep(self, id: str, duration: Duration) -> None:
        """Wait for this long. As `Step.sleep`."""
        self._call(id, lambda: self._step.sleep(id, duration))

    def sleep_until(self, id: str, when: datetime | str | float) -> None:
        """Wait until this time. As `Step.sleep_until`."""
        self._call(id, lambda: self._step.sleep_until(id, when))

    def send_event(self, id: str, events: Event[Any] | Sequence[Event[Any]]) -> list[str]:
        """Send an event or several, as a step. As `Step.send_event`."""
        sent: list[str] = self._call(id, lambda: self._step.send_event(id, events))
        return sent

    def wait_for_event(self, id: str, event: str, *, timeout: Duration, if_: str | None = None) -> Event[Any] | None:
        """Wait for an event of this name; None when the time is over. As `Step.wait_for_event`."""
        arrived: Event[Any] | None = self._call(
            id, lambda: self._step.wait_for_event(id, event, timeout=timeout, if_=if_)
        )
        return arrived

    def wait_for_signal(
        self, id: str, signal: str, *, timeout: Duration, on_conflict: Literal["fail", "replace"] = "fail"
    ) -> Signal[Any] | None:
        """Wait until somebody sends this signal; None when the time is over. As `Step.wait_for_signal`."""
        arrived: Signal[Any] | None = self._call(
            id, lambda: self._step.wait_for_signal(id, signal, timeout=timeout, on_conflict=on_conflict)
        )
        return arrived

    def send_signal(self, id: str, signal: str, data: Any = None) -> str | None:
        """Send a signal, as a step. Returns the run that it reached, or None. As `Step.send_signal`."""
        reached: str | None = self._call(id, lambda: self._step.send_signal(id, signal, data))
        return reached

    @overload
    def invoke(self, id: str, function: Function[T], *, data: Any = None, timeout: Duration | None = None) -> T: ...
    @overload
    def invoke(self, id: str, function: str, *, data: Any = None, timeout: Duration | None = None) -> Any: ...
    def invoke(
        self, id: str, function: Function[Any] | str, *, data: Any = None, timeout: Duration | None = None
    ) -> Any:
        """Start a run of another function and wait for what it comes to. As `Step.invoke`."""
        return self._call(id, lambda: self._step.invoke(id, function, data=data, timeout=timeout))

    @overload
    def options(
        self,
        *,
        output_type: type[T],
        retries: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
    ) -> TypedSyncStep[T]: ...
    @overload
    def options(
        self,
        *,
        retries: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
        output_type: None = None,
    ) -> SyncStep: ...
    def options(
        self,
        *,
        retries: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
        output_type: Any = None,
    ) -> Any:
        """The same verbs with options for this step. As `Step.options`.

        A plain body that is over its timeout keeps this thread; the function then goes on in another, called from the top.
        """
        return SyncStep(self._replay, self._own, StepOptions.of(retries, timeout, backoff, output_type))

    def _call(self, id: str, verb: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        check_scope(self._replay, id, HERE.get())
        return edge_of_this_thread(self._replay).call(verb)


class TypedSyncStep(Protocol[Out]):
    """What `options(output_type=T)` gives to type checkers; at run time it is a SyncStep."""

    def run(self, id: str, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Out:
        """As `SyncStep.run`."""
        ...

    def wait_for_event(self, id: str, event: str, *, timeout: Duration, if_: str | None = None) -> Event[Out] | None:
        """As `SyncStep.wait_for_event`."""
        ...

    def wait_for_signal(
        self, id: str, signal: str, *, timeout: Duration, on_conflict: Literal["fail", "replace"] = "fail"
    ) -> Signal[Out] | None:
        """As `SyncStep.wait_for_signal`."""
        ...

    def invoke(
        self, id: str, function: Function[Any] | str, *, data: Any = None, timeout: Duration | None = None
    ) -> Out:
        """As `SyncStep.invoke`."""
        ...


@familiar
class SyncContext(BaseContext[Data]):
    """What a `def` function is given. Use it in the function's own thread, and in the callables given to `parallel`."""

    __slots__ = ("step",)

    def __init__(self, replay: Replay, own: Scope) -> None:
        super().__init__(replay, own)
        self.step = SyncStep(replay, own)
        """The verbs: run, sleep, sleep_until, wait_for_event, wait_for_signal, send_signal, invoke, send_event, options."""

    @overload
    def parallel(self, f: Callable[[], A], /) -> tuple[A]: ...
    @overload
    def parallel(self, f: Callable[[], A], g: Callable[[], B], /) -> tuple[A, B]: ...
    @overload
    def parallel(self, f: Callable[[], A], g: Callable[[], B], h: Callable[[], C], /) -> tuple[A, B, C]: ...
    @overload
    def parallel(
        self, f: Callable[[], A], g: Callable[[], B], h: Callable[[], C], i: Callable[[], D], /
    ) -> tuple[A, B, C, D]: ...
    @overload
    def parallel(self, /, *branches: Callable[[], A]) -> tuple[A, ...]: ...
    def parallel(self, /, *branches: Callable[[], Any]) -> tuple[Any, ...]:
        """Call these beside each other, each in a thread of its own, and return what they return, in their order.

        All of them are seen through to their end; then, if any raised, the error of the first of those, in their order.
        """
        check_scope(self._replay, "parallel", HERE.get())
        for branch in branches:
            if not callable(branch):
                raise ConfigError(
                    f"parallel was given {shown(branch)}, which is not callable: pass functions without arguments, "
                    "as in ctx.parallel(lambda: ctx.step.run('a', f), lambda: ctx.step.run('b', g))"
                )
        edge = edge_of_this_thread(self._replay)
        variables = [copy_context() for _ in branches]
        results: tuple[Any, ...] = edge.call(lambda: _parallel(self._replay, branches, variables))
        return results


async def _parallel(
    replay: Replay, branches: Sequence[Callable[[], Any]], variables: Sequence[Variables]
) -> tuple[Any, ...]:
    threads = replay.environment.body_threads
    tasks = [
        replay.loop.create_task(Edge(replay).serve(threads, branch, own))
        for branch, own in zip(branches, variables, strict=True)
    ]
    if tasks:
        # Not gather: the first error must not be told before the others have ended, and each must be looked at.
        await asyncio.wait(tasks)
    errors = [error for task in tasks if (error := task.exception()) is not None]
    if errors:
        raise errors[0]
    return tuple(task.result() for task in tasks)


def edge_of_this_thread(replay: Replay) -> Edge:
    """The edge of the thread that asks. ConfigError in a thread that user code has made for itself."""
    edge = replay.edge_of.get(threading.get_ident())
    if edge is None:
        raise ConfigError(
            "a step of a def function is called in a thread that durableq does not know: "
            "use ctx.parallel(f, g, …) for steps beside each other"
        )
    return edge
