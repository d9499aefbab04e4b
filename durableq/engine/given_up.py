"""What was given up on and still executes: threads, which nothing can stop, and tasks that swallow their cancellation.

None of it can record anything. It is counted until it ends, since it takes what code takes: a processor, a connection, and
the slot of a concurrency limit (decision 013). Used on the loop only.
"""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any


class GivenUp:
    """The code of a process that was given up on, by run and step. False when there is none."""

    def __init__(self) -> None:
        self._living: Counter[tuple[str, str]] = Counter()
        self._tasks: dict[Task[Any], tuple[str, Sequence[str]]] = {}
        self.on_left: Callable[[str], None] = lambda _run_id: None
        """Told of a run when the last of its code here has ended."""

    def __bool__(self) -> bool:
        return bool(self._living)

    @property
    def count(self) -> int:
        """How much of it lives now. A child with much of it is replaced."""
        return self._living.total()

    @property
    def runs(self) -> set[str]:
        """Whose code it is."""
        return {run for run, _ in self._living}

    def add(self, run_id: str, step_key: str) -> None:
        """A thread is given up on."""
        self._living[run_id, step_key] += 1

    def ended(self, run_id: str, step_key: str) -> None:
        """Such a thread has come to its end after all."""
        self._living[run_id, step_key] -= 1
        if not self._living[run_id, step_key]:
            del self._living[run_id, step_key]
            if not self.any_of(run_id):
                self.on_left(run_id)

    def add_task(self, task: Task[Any], run_id: str, step_keys: Sequence[str]) -> None:
        """A task that was cancelled, and goes on in the bodies of these steps, is given up on: counted until it has ended."""
        self._tasks[task] = (run_id, step_keys)
        for key in step_keys:
            self.add(run_id, key)
        task.add_done_callback(self._task_ended)

    def stands_still(self, task: Task[Any] | None) -> None:
        """This task asks for a step that will never be answered: none of its code executes again."""
        if task is not None and task in self._tasks:
            task.remove_done_callback(self._task_ended)
            self._task_ended(task)

    def any_of(self, run_id: str) -> bool:
        """Whether any code of this run still runs here."""
        return any(run == run_id for run, _ in self._living)

    def holds(self, run_id: str, step_key: str) -> bool:
        """Whether a body of this step still runs here, so that its next attempt must not start."""
        return (run_id, step_key) in self._living

    def _task_ended(self, task: asyncio.Future[Any]) -> None:
        found = self._tasks.pop(task, None)  # type: ignore[call-overload]
        if found is not None:
            run_id, step_keys = found
            for key in step_keys:
                self.ended(run_id, key)
