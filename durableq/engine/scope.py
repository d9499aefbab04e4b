"""Whose code is asking: the function's own, or one attempt of a step's body.

A context variable says so. It is inherited by every task and thread that the code starts, which is how a task of a run is
told from the tasks that a step's body starts for itself, and how `ctx.attempt` and `ctx.logger` know who asks.

Invariant: a scope is never changed after it was made, except for what it draws from chance and its logger, made when asked for.
"""

from __future__ import annotations

from contextvars import ContextVar
from random import Random
from typing import TYPE_CHECKING

from durableq.engine.logger import ReplaySilentLogger

if TYPE_CHECKING:
    from durableq.engine.replay import Replay


class Scope:
    """The function's code (`step_key` is "") or one attempt at a step's body."""

    __slots__ = ("_logger", "_random", "attempt", "replay", "step_id", "step_key")

    def __init__(self, replay: Replay, attempt: int, step_key: str = "", step_id: str = "") -> None:
        self.replay = replay
        self.attempt = attempt
        self.step_key = step_key
        self.step_id = step_id
        self._random: Random | None = None
        self._logger: ReplaySilentLogger | None = None

    @property
    def random(self) -> Random:
        """Chance that answers the same on every replay: seeded by the run, or by the run, the step and its attempt."""
        if self._random is None:
            seed = self.replay.run.run_id
            self._random = Random(f"{seed}/{self.step_key}/{self.attempt}" if self.step_key else seed)
        return self._random

    @property
    def logger(self) -> ReplaySilentLogger:
        """The run's logger, bound to who asks."""
        if self._logger is None:
            self._logger = ReplaySilentLogger.of(self.replay, self.attempt, self.step_id)
        return self._logger


HERE: ContextVar[Scope | None] = ContextVar("durableq_scope", default=None)
"""The scope of the code that is running; None outside of runs."""
