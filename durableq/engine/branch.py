"""Branches: the tasks of a run, and how the engine knows them.

A task factory looks at the scope of whoever creates a task. The function's own code: the task is a branch of the run, and
its coroutine is wrapped, so that each time it is resumed counts as a move and shows what it then awaits. Anything else,
a step's body above all: an ordinary task.

Invariants: `replay.current` is the branch that is executing right now, or None. A branch is in `replay.branches` from its
creation until its coroutine has ended. Nothing that user code raises leaves a branch as SystemExit or KeyboardInterrupt,
which asyncio would pass on through the worker's loop.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from durableq.engine.interrupts import ExitRefused
from durableq.engine.scope import HERE

if TYPE_CHECKING:
    from durableq.engine.edge import Edge
    from durableq.engine.replay import Replay


class Branch(Coroutine[Any, Any, Any]):
    """The coroutine of one task of a run, watched."""

    __slots__ = ("_coroutine", "awaiting", "born", "edge", "in_body", "parent", "replay", "task")

    def __init__(self, replay: Replay, coroutine: Any) -> None:
        self._coroutine = coroutine
        self.replay = replay
        self.task: Task[Any] | None = None
        self.awaiting: Future[Any] | None = None
        """What it awaited when it was last suspended; None for a bare yield, as in `asyncio.sleep(0)`."""
        self.in_body = False
        """Whether it executes a step's body; being resumed is then no move of the function."""
        self.parent = replay.current
        """The branch that has started it; None for the root, and for what a callback starts."""
        self.born = replay.moves
        self.edge: Edge | None = None
        """The thread that this task serves, in `def` functions."""

    @property
    def task_done(self) -> bool:
        """Whether its task has ended."""
        return self.task is None or self.task.done()

    @property
    def coroutine(self) -> Any:
        """What it wraps."""
        return self._coroutine

    def send(self, value: Any) -> Any:
        return self._resume(self._coroutine.send, value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None, /) -> Any:
        try:
            return self._resume(self._coroutine.throw, typ if val is None else val)
        finally:
            del typ, val, tb  # the error's traceback holds this frame

    def _resume(self, resume: Callable[[Any], Any], value: Any) -> Any:
        replay = self.replay
        outer, replay.current = replay.current, self  # outer is another branch when a task starts eagerly
        if not self.in_body:
            replay.moves += 1
        try:
            self.awaiting = awaiting = resume(value)
        except StopIteration as stop:
            self._ended(stop.value, None)
            raise
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            replay.current = outer
            del resume, value  # an error that was thrown in has this frame in its traceback
        return awaiting

    def _ended(self, value: Any, error: BaseException | None) -> None:
        self.awaiting = None  # it may hold the error, and so us
        if error is None:
            self.task = None  # which holds us
        self.replay.branch_ended(self, failed=error is not None)

    def _failed(self, error: BaseException) -> None:
        """Tell the end. Returns if the task may end with this error; otherwise raises what it ends with."""
        if not isinstance(error, (SystemExit, KeyboardInterrupt)):
            self._ended(None, error)
            return
        refused = ExitRefused(f"{type(error).__name__} raised in a task of the run")
        refused.__cause__ = error
        try:
            self._ended(None, refused)
            raise refused from error
        finally:
            del refused  # its traceback holds this frame

    def close(self) -> None:
        self._coroutine.close()
        self.replay.branches.discard(self)

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # cr_frame, cr_await, __qualname__ …: what debuggers and anyio look at


class Root(Branch):
    """The task that calls the function. It tells its end to the replay; the task itself never fails."""

    __slots__ = ()

    def _ended(self, value: Any, error: BaseException | None) -> None:
        self.task = self.awaiting = None
        self.replay.root_ended(value, error)

    def _failed(self, error: BaseException) -> None:
        with suppress(ExitRefused):
            super()._failed(error)
        raise StopIteration from None  # it is told; a task that failed would log that nobody asked it


class BranchFactory:
    """The loop's task factory: makes branches for runs and passes everything else on."""

    def __init__(self, previous: Callable[..., Any] | None) -> None:
        self._previous = previous

    def __call__(self, loop: AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        scope = HERE.get()
        if scope is None or scope.step_key or scope.replay.over:
            return self._make(loop, coroutine, options)
        branch = Branch(scope.replay, coroutine)
        scope.replay.branches.add(branch)
        branch.task = self._make(loop, branch, options)
        return branch.task

    def _make(self, loop: AbstractEventLoop, coroutine: Any, options: dict[str, Any]) -> Any:
        if self._previous is None:
            return Task(coroutine, loop=loop, **options)
        return self._previous(loop, coroutine, **options)


def install(loop: AbstractEventLoop) -> None:
    """Make this loop's tasks known to their runs. Once per loop; doing it again changes nothing."""
    previous = loop.get_task_factory()
    if not isinstance(previous, BranchFactory):
        loop.set_task_factory(BranchFactory(previous))


class Pending(asyncio.Future[Any]):
    """A future of ours: whoever awaits it waits for a step and for nothing else."""
