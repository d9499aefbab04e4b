"""What a branch awaits, and whether the run may be suspended meanwhile.

Asked only when nothing of a run moves and a durable wait is pending. `asyncio` has no public way to ask, so this reads
what its objects show (frames, a gather's children); what it cannot read counts as foreign, which costs a bounded linger
and a warning and is never wrong about what happens next.

When adding a combinator: a row in `_members`, a case in tests/engine/test_awaits.py.
"""

from __future__ import annotations

import asyncio
import gc
from asyncio import Future, Task
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any

from durableq.engine.branch import Branch, Pending

_ASYNCIO = asyncio.__path__[0]
_PRIMITIVES = (f"{_ASYNCIO}/locks.py", f"{_ASYNCIO}/queues.py")
_PACKAGE = __name__.partition(".")[0]


class Awaits(IntEnum):
    """How far what a branch awaits is in our hands; of several, the highest counts."""

    STEPS = 0
    """Steps of the run, or other branches of it, through any of asyncio's combinators."""
    SIBLINGS = 1
    """A lock, queue, event or semaphore: most likely another branch frees it, but it may be shared with other runs."""
    FOREIGN = 2
    """Something that is no step: a socket, asyncio.sleep, a future of the user's own, code in a thread."""


def awaits(branch: Branch) -> Awaits:
    """What holds this branch up."""
    if branch.edge is not None and branch.edge.busy:
        return Awaits.FOREIGN
    if branch.awaiting is None:
        return Awaits.FOREIGN
    return _future(branch.awaiting, branch)


def _future(future: Any, branch: Branch | None) -> Awaits:
    if isinstance(future, Pending) or future.done():
        return Awaits.STEPS
    if isinstance(future, Task) and isinstance(future.get_coro(), Branch):
        return Awaits.STEPS  # that branch is asked for itself
    frames = [] if branch is None else [frame for frame in map(_frame, coroutines(branch)) if frame is not None]
    members = _members(future, frames)
    if members is not None:
        return max((_future(member, None) for member in members), default=Awaits.STEPS)
    if frames and frames[-1].f_code.co_filename in _PRIMITIVES:
        return Awaits.SIBLINGS
    return Awaits.FOREIGN


def _members(future: Any, frames: list[Any]) -> Iterable[Any] | None:
    """The futures that this one stands for, if a combinator of asyncio made it."""
    children = getattr(future, "_children", None)  # gather
    if children is not None:
        return list(children)
    for callback, _ in getattr(future, "_callbacks", None) or ():
        if getattr(callback, "__qualname__", "") == "shield.<locals>._outer_done_callback":
            return [cell.cell_contents for cell in callback.__closure__ if isinstance(cell.cell_contents, Future)]
    for frame in reversed(frames):
        if not frame.f_code.co_filename.startswith(_ASYNCIO):
            break
        known = frame.f_locals
        match frame.f_code.co_qualname:
            case "_wait":
                return list(known["fs"])
            case "wait_for" | "_cancel_and_wait":
                return [known["fut"]]
            case "TaskGroup.__aexit__" | "TaskGroup._aexit":
                return list(known["self"]._tasks)
            case "as_completed.<locals>._wait_for_one" | "_AsCompletedIterator._wait_for_one":
                return ()  # what it was given became branches, which are asked for themselves
    return None


def coroutines(branch: Branch) -> Iterator[Any]:
    """The chain of coroutines from the task's own to the one that is suspended."""
    coroutine = branch.coroutine
    while coroutine is not None and (hasattr(coroutine, "cr_frame") or hasattr(coroutine, "gi_frame")):
        yield coroutine
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def _frame(coroutine: Any) -> Any:
    return getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)


def where(branch: Branch) -> str:
    """`file:line` of the user's code that awaits, for a warning."""
    found = ""
    for coroutine in coroutines(branch):
        frame = _frame(coroutine)
        if frame is None:
            continue
        outside = frame.f_globals.get("__name__", "").partition(".")[0] not in (_PACKAGE, "asyncio")
        if outside or not found:
            found = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return found or "unknown place"


def under_timeout(branch: Branch) -> bool:
    """Whether `asyncio.timeout` or `asyncio.wait_for` counts the time of what this branch awaits."""
    for coroutine in coroutines(branch):
        frame = _frame(coroutine)
        if frame is None:
            continue
        if frame.f_code is asyncio.wait_for.__code__ and frame.f_locals.get("timeout") is not None:
            return True
        for referent in gc.get_referents(
            coroutine
        ):  # an open `async with` keeps its manager's exit on the frame's stack
            manager = getattr(referent, "__self__", referent)
            if isinstance(manager, asyncio.Timeout) and manager.when() is not None:
                return True
    return False
