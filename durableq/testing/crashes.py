"""Crashes that a test plans: the worker dies at the commit that carries a step's result, before it or right after.

It dies as a process does: nothing that it does from there on reaches the server, and whoever rescues its runs is told so.
Other runs in its hand die with it, at whatever they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from durableq.services.notes import read_note
from durableq.store.calls import Calls
from durableq.store.failures import Unavailable
from durableq.store.runs import Answers, Runs, StepWrite
from durableq.words.errors import ConfigError
from durableq.words.ids import check_step_id


@dataclass(slots=True)
class Crash:
    """One planned death. `recorded`: after the result was recorded, not before."""

    step_id: str
    recorded: bool
    machine: bool
    """Whether nobody is left to hand its runs back."""
    happened: bool = False

    def __str__(self) -> str:
        whole = ", machine=True" if self.machine else ""
        return f"crash_worker({'after_step' if self.recorded else 'before_record'}={self.step_id!r}{whole})"


class Crashes:
    """The crashes of one environment, each once, in the order in which they were planned."""

    def __init__(self) -> None:
        self._planned: list[Crash] = []

    def add(self, after_step: str | None, before_record: str | None, machine: bool) -> None:
        """Raises ConfigError."""
        if (after_step is None) == (before_record is None):
            raise ConfigError("crash_worker takes one of after_step= and before_record=, the id of a step")
        if type(machine) is not bool:
            raise ConfigError(f"crash_worker machine must be True or False, not {machine!r}")
        step_id = check_step_id(before_record if after_step is None else after_step)
        self._planned.append(Crash(step_id, recorded=after_step is not None, machine=machine))

    def due(self, writes: Sequence[StepWrite], *, recorded: bool) -> Crash | None:
        """The first planned crash that these writes set off, which has happened then."""
        return self.due_of((write.note for write in writes), recorded=recorded)

    def due_of(self, notes: Iterable[bytes], *, recorded: bool) -> Crash | None:
        """The same, by the notes of what is written."""
        planned = [crash for crash in self._planned if crash.recorded is recorded and not crash.happened]
        if not planned:
            return None
        steps = {note.step_id for packed in notes if (note := read_note(packed)) is not None}
        for crash in planned:
            if crash.step_id in steps:
                crash.happened = True
                return crash
        return None

    def outstanding(self) -> list[str]:
        """Those that have not happened, as they were written."""
        return [str(crash) for crash in self._planned if not crash.happened]


class MortalRuns(Runs):
    """The verbs of a worker that may die at one of them."""

    __slots__ = ("_crashes", "_die")

    def __init__(self, calls: Calls, crashes: Crashes, die: Callable[[Crash], None]) -> None:
        super().__init__(calls)
        self._crashes = crashes
        self._die = die

    async def record_steps(self, lease: str, writes: Sequence[StepWrite]) -> Answers:
        self._crash(writes, recorded=False)
        answers = await super().record_steps(lease, writes)
        self._crash(writes, recorded=True)
        return answers

    def _crash(self, writes: Sequence[StepWrite], *, recorded: bool) -> None:
        crash = self._crashes.due(writes, recorded=recorded)
        if crash is not None:
            self._die(crash)
            raise Unavailable(str(crash), maybe_applied=recorded)


BEGINNINGS: Final = frozenset({"await_events", "await_signals", "invoke_runs"})
"""The scripts that begin a wait, or a child with it."""


class Watch:
    """Sees waits and invokes begin, over a worker's link: it may die before one has, or right after."""

    def __init__(self, crashes: Crashes, die: Callable[[Crash], None]) -> None:
        self._crashes = crashes
        self._die = die

    def before(self, script: str, args: Sequence[Any]) -> None:
        """A script is about to be called."""
        self._crash(script, args, recorded=False)

    def kills_after(self, script: str, args: Sequence[Any], reply: asyncio.Future[Any]) -> bool:
        """It was called; whether the worker died of it."""
        return script in BEGINNINGS and _have_begun(reply) and self._crash(script, args, recorded=True)

    def _crash(self, script: str, args: Sequence[Any], *, recorded: bool) -> bool:
        if script not in BEGINNINGS:
            return False
        crash = self._crashes.due_of((arg for arg in args if isinstance(arg, bytes)), recorded=recorded)
        if crash is not None:
            self._die(crash)
        return crash is not None


def _have_begun(reply: asyncio.Future[Any]) -> bool:
    """Not where a wait must look at earlier events first."""
    if reply.exception() is not None:
        return False
    return not any(isinstance(item, list) and item[0] == -1 for item in reply.result()[1])
