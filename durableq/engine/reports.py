"""Reports: what the engine says to the log about a run's code. Warnings are given once per run and process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durableq.engine.awaits import under_timeout, where
from durableq.engine.branch import Branch
from durableq.model.failure import Failure
from durableq.model.retry import Decision, Retry
from durableq.model.stack import own_line
from durableq.words.periods import format_ms

if TYPE_CHECKING:
    from durableq.engine.asks import Ask
    from durableq.engine.environment import Environment
    from durableq.engine.execution import ClaimedRun
    from durableq.engine.replay import Replay


class Reports:
    """The log of one turn."""

    __slots__ = ("_environment", "_run")

    def __init__(self, environment: Environment, run: ClaimedRun) -> None:
        self._environment = environment
        self._run = run

    def step_failed(self, ask: Ask, failure: Failure, decision: Decision) -> None:
        """An attempt at a step has failed."""
        fields: dict[str, Any] = {
            "step": ask.step_id,
            "attempt": ask.attempt,
            "error": f"{failure.name}: {failure.message}",
            "at": own_line(failure.stack),
        }
        if isinstance(decision, Retry):
            fields["retry_in"] = format_ms(decision.delay_ms)
            if decision.warning:
                fields["note"] = decision.warning
        else:
            fields["final"] = decision.reason
        self._warn("step failed", fields)

    def reordered(self) -> None:
        """Steps are asked for in another order than the record's."""
        self._once(
            "steps in another order",
            hint="this run began under other code; its recorded steps keep their results, in the new order",
        )

    def never_awaited(self, step_ids: list[str]) -> None:
        """Steps that were called and whose coroutine was never awaited, so they did not happen."""
        for step_id in step_ids:
            self._warn("step never awaited", {"step": step_id, "hint": f"write: await ctx.step.…({step_id!r}, …)"})

    def left_behind(self, step_ids: list[str]) -> None:
        """Steps in tasks that had not begun when the function returned, so they did not happen."""
        for step_id in step_ids:
            hint = "the function returned before its task began: await the task, or asyncio.gather"
            self._warn("step never awaited", {"step": step_id, "hint": hint})

    def foreign(self, branch: Branch, linger_s: float) -> None:
        """A run that could be suspended awaits something that is no step."""
        self._once(
            "awaiting something that is no step",
            task=_name(branch),
            at=where(branch),
            hint=f"the run could be suspended; in {linger_s:g} s it is, and this code starts anew: put it in a step",
        )

    def timeouts(self, replay: Replay) -> None:
        """Timers that count the time of a durable wait and die with this turn."""
        for branch in replay.living_branches():
            if under_timeout(branch):
                self._once(
                    "timeout around a durable wait",
                    task=_name(branch),
                    at=where(branch),
                    hint="asyncio.timeout starts anew in each replay: use timeout= of the wait, or step.options for a body",
                )

    def gave_up(self, ask: Ask) -> None:
        """A step that was abandoned in an earlier turn is not cancelled in this one."""
        self._warn("abandoned step asked for", {"step": ask.step_id})

    def _once(self, event: str, **fields: Any) -> None:
        if self._environment.warned.first(self._run.run_id, event):
            self._warn(event, fields)

    def _warn(self, event: str, fields: dict[str, Any]) -> None:
        run = self._run
        logger = self._environment.logger.bind(app=run.app_id, function=run.function_id, run=run.run_id)
        logger.warning(event, **fields)


def _name(branch: Branch) -> str:
    """The task's name and its coroutine's, since most tasks are only numbered."""
    name = "task" if branch.task is None else branch.task.get_name()
    return f"{name} ({getattr(branch.coroutine, '__qualname__', '?')})"
