"""Admission: what is checked before a step that user code awaits is looked at.

A step inside a step is an error. A step asked for while its turn ends is refused quietly, which is what `finally` blocks
meet: the task is being cancelled, and so is this.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from inspect import iscoroutine
from typing import TYPE_CHECKING

from durableq.engine.branch import Pending
from durableq.engine.phase import Phase
from durableq.engine.scope import HERE, Scope
from durableq.words.errors import ConfigError, NestedStep
from durableq.words.shown import shown

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

_REFUSALS_QUICK = 20
_REFUSAL_S = 0.05
"""Later ones take so long, or `while True` around a bare `except` would take the whole loop while it is given its time."""


def check_scope(replay: Replay, step_id: str, here: Scope | None) -> None:
    """Raise unless this is code of the function itself."""
    if here is None or (here.replay is replay and not here.step_key):
        return
    if here.step_key:
        raise NestedStep(
            f"step {step_id!r} is called inside step {here.step_id!r}: a step's body is executed as one piece. "
            "Call it from the function, after that step or beside it; if it was handed in, its `await` is missing"
        )
    if here.replay.run.run_id != replay.run.run_id:
        raise ConfigError(
            f"step {step_id!r} is called on the Context of run {replay.run.run_id} in code of run {here.replay.run.run_id}: "
            "use the Context that the function was given"
        )


def refuse_uncallable(step_id: str, fn: object) -> None:
    """Raise ConfigError for what cannot be called. A coroutine is closed, or Python would warn of it as well."""
    if iscoroutine(fn):
        fn.close()
    raise ConfigError(
        f"step {step_id!r} was given {shown(fn)}, which is not callable: pass the function and its arguments, not its call, "
        f"as in run({step_id!r}, fetch, url)"
    )


def check_place(replay: Replay, step_id: str) -> None:
    """Raise unless this step may be asked for here. Whether it may be now, its phase says."""
    check_scope(replay, step_id, HERE.get())
    if asyncio.get_running_loop() is not replay.loop:
        raise ConfigError(f"step {step_id!r} is awaited on another event loop than its run's: await it in the function")


async def refuse_late(replay: Replay, step_id: str) -> None:
    """Where the turn ends or has ended, hold a step that is asked for, or cancel it."""
    if replay.phase is Phase.OVER:
        replay.environment.abandoned.stands_still(asyncio.current_task())
        await Pending(loop=replay.loop)
    if replay.phase is Phase.LEAVING:
        replay.refusals += 1
        await asyncio.sleep(0 if replay.refusals < _REFUSALS_QUICK else _REFUSAL_S)
        raise CancelledError(
            f"step {step_id!r} is asked for while the turn ends: durableq will call the function again"
        )
