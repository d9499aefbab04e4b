"""Leaving user code, when a turn has ended.

In `async` functions nothing is raised inside a branch, since gather(return_exceptions=True), wait and a bare `except` would
swallow it: a call that cannot go on stays pending, and once the store has confirmed the suspension the root is cancelled,
then every branch. `def` functions run in threads that cannot be cancelled: they get RunInterrupt at their step's call. They
are left before the store is asked to suspend, so that a function which swallows the interrupt can still be failed.

Either way `finally` blocks run, steps asked for in them are refused quietly, and what user code returns or raises is ignored.
"""

from __future__ import annotations

import asyncio
import linecache
from asyncio import Future
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from durableq.engine.branch import Branch, Pending
from durableq.engine.edge import Edge
from durableq.engine.phase import Phase
from durableq.words.errors import NonRetriableError

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

LEAVE_S = 5.0
"""How long `finally` blocks may take. What is still there afterwards is given up on."""


async def leave(replay: Replay) -> None:
    """End all user code of this replay, in at most LEAVE_S. Does nothing the second time."""
    if replay.phase is Phase.OVER:
        return
    replay.stop_deciding()
    if not replay.ended:
        for branch in replay.failed:
            _ignore(branch.task)  # the next call of the function will look at it
    if not replay.branches and not replay.edges and (replay.root is None or replay.root.task_done):
        replay.naming.close()
        replay.phase = Phase.OVER  # the function has returned and nothing is left of it, as nearly always
        return
    replay.phase = Phase.LEAVING
    asked: set[Branch] = set()
    try:
        deadline = replay.loop.time() + LEAVE_S
        while living := _living(replay, asked):
            done, _ = await asyncio.wait(living, timeout=max(0.0, deadline - replay.loop.time()))
            if not done:
                break
    finally:
        for edge in replay.edges:
            edge.give_up()
        _give_up_on_tasks(replay)
        replay.naming.close()  # steps that were called, and whose await was never reached
        replay.phase = Phase.OVER


def _living(replay: Replay, asked: set[Branch]) -> list[Future[Any]]:
    """What has not ended, after each of it was asked to; `finally` blocks may have started more."""
    living: list[Future[Any]] = []
    for branch in replay.living_branches():
        if branch.task is not None and not branch.task.done():
            living.append(branch.task)
            if branch not in asked:
                asked.add(branch)
                branch.task.cancel()
                branch.task.add_done_callback(_ignore)
    for edge in replay.edges:
        edge.interrupt()
        if not edge.stuck and not edge.ended.done():
            living.append(edge.ended)
    return living


def _give_up_on_tasks(replay: Replay) -> None:
    """Count what swallows its cancellation, until it ends. Not what awaits an answer of ours, or a thread: it stands still."""
    for branch in replay.living_branches():
        task = branch.task
        if task is None or task.done() or isinstance(branch.awaiting, Pending):
            continue
        keys = list(replay.executing) if branch.in_body else []
        replay.environment.abandoned.add_task(task, replay.run.run_id, keys or [""])


def _ignore(task: Future[Any] | None) -> None:
    if task is not None and task.done() and not task.cancelled():
        task.exception()  # looked at, or asyncio would log that nobody did


def swallowed_by(edges: Sequence[Edge]) -> NonRetriableError | None:
    """The error of a `def` function that caught an interrupt and went on, or None."""
    for edge in edges:
        if edge.interrupt_raised is not None and edge.swallows:
            return NonRetriableError(
                f"{_catching_line(edge.interrupt_raised)} catches the interrupt by which durableq leaves a function that "
                "has to wait. Write `except Exception:`, or raise again what is no Exception"
            )
    return None


def _catching_line(interrupt: BaseException) -> str:
    """`file:line` of the `except` where the interrupt's way up ended; of the call below it if that cannot be found.

    Read from the text: parsing is of no use where the source is not there, and the layout tells as much.
    """
    trace = interrupt.__traceback__
    if trace is None:
        return "The function"
    file, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
    lines = linecache.getlines(file)
    if line > len(lines):
        return f"{file}:{line}"
    within = _indent(lines[line - 1])
    for number, text in enumerate(lines[line:], line + 1):
        words = text.strip()
        if words and _indent(text) < within:
            if words.startswith("except:") or (words.startswith("except") and "BaseException" in words):
                return f"{file}:{number}"
            if not words.startswith(("except", "else", "finally")):
                within = _indent(text)
    return f"{file}:{line}"


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
