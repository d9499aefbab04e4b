"""The log of `durableq dev` as a person reads it: one line for each thing that happens, said in words.

    20:51:07.123  worker 4123  shop/pay 7KQ3FA  step charge failed, attempt 1: Declined: no money, at shop.py:31, again in 15s

Time, process, run, what happened. A run is named by its function and the end of its id, and with the whole id where somebody
will want to look at it. What is not in `TEXTS` is shown as it is, user code's own lines among it.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from string import Formatter
from typing import Any, Final

import click
import structlog

from durableq.cli.texts import clean, length
from durableq.model.stack import stack_of

TEXTS: Final = {
    "run.started": "started by {by}",
    "run.resumed": "goes on",
    "run.completed": "completed in {took_ms}",
    "run.retrying": "failed, attempt {attempt}: {error}{at}, again in {retry_in}",
    "run.failed": "failed for good after {took_ms}: {error}{at}. Look at it: durableq runs show {run}",
    "step.recorded": "step {step} done in {took_ms}",
    "step.sleeping": "step {step} sleeps {sleeps}",
    "step.waiting": "step {step} waits for {waits_for}, for up to {within}",
    "step.answered": "step {step} is answered: {by}",
    "run.cancelled": "cancelled: {why}",
    "event.unheard": "event {name}: {hint}",
    "event.left_out": "{what} starts nothing of {function}: {reason}, {why}",
    "event.held_back": "an event for {function} is held back: {by}, fires in {fires_in}",
    "triggers.left_out": "{count} more triggers of {function} start nothing: {reasons}",
    "runs.parked": "{runs} of {function} parked: waiting for {waits_for}",
    "function.paused": "function {function} is paused: what is triggered meanwhile is {meanwhile}",
    "function.resumed": "function {function} goes on",
    "function.retired": "function {function} is gone: the code declares it no more, and no worker has it",
    "child.failed": "its code cannot be imported",
    "child.refused": "{why}",
    "child.died": "process {child} died: {how}",
    "child.killed": "process {child} was killed: {why}",
    "loop.blocked": "blocked for {silent_s} s at {line}: {hint}",
    "parent.gone": "its `durableq dev` is gone, {then}: it finishes what it has in hand, and leaves",
    "runs.handed_back": "{runs} handed back, to go on from the last recorded step; what has killed three processes fails",
    "cron.ticked": "{cron}: {runs} of {function} started",
    "cron.skipped": "{cron}: {ticks} of {function} left out: {reason}",
    "cron.missed": "{cron}: {ticks} of {function} missed while nobody was there, and left out (catch_up: {catch_up})",
    "redis.away": "{url} cannot be reached, for {waiting_s} s so far: {reason}",
    "redis.there": "{url} is there now",
    "redis.lost": "the connection to Redis broke, and is made anew: {reason}",
    "embedded.lost": "went away: {directory}",
    "embedded.restarted": "is back, on the same data: {directory}",
}
FAILED_STEP: Final = "step {step} failed, attempt {attempt}: {error}{at}, again in {retry_in}"
FAILED_STEP_FOR_GOOD: Final = "step {step} failed for good, attempt {attempt}: {error}{at}: {final}"
UNSAID: Final = frozenset(
    ("worker.starting", "worker.draining", "worker.left", "child.started", "child.working", "redis.connected")
)
"""What a person at the terminal can do nothing with; shown at level debug."""
UNSHOWN: Final = {
    "child.died": frozenset(("in_hand",)),  # as of its last beat, up to a second ago: what is handed back is exact
    "runs.handed_back": frozenset(("lease",)),
    "cron.ticked": frozenset(("tick_ms",)),
}
"""Fields that a text leaves out on purpose."""
COLOURS: Final = {"run.completed": "green", "run.failed": "red", "warning": "yellow", "error": "red", "critical": "red"}
"""By the event, else by the level."""
PROCESS_WIDTH: Final = 14
RUN_TAIL: Final = 6

_IMPORTING: Final = ('  File "<frozen ', f'  File "{os.path.dirname(importlib.__file__)}')

Fields = MutableMapping[str, Any]


class Friendly:
    """The last of structlog's processors: makes the line. `colours` on a terminal only; `everything` at level debug."""

    def __init__(self, *, colours: bool, everything: bool) -> None:
        self._colours = colours
        self._everything = everything

    def __call__(self, _logger: Any, _method: str, fields: Fields) -> str:
        event = str(fields.pop("event", ""))
        if event in UNSAID and not self._everything:
            raise structlog.DropEvent
        level = str(fields.pop("level", "info"))
        at = str(fields.pop("timestamp", ""))[:12]
        error = _exception(fields.pop("exc_info", None))
        said = _Said(event, fields)
        colour = COLOURS.get(event, COLOURS.get(level))
        parts = [self._in(at, "bright_black"), f"{_process(fields):{PROCESS_WIDTH}}"]
        if said.run:
            parts.append(self._in(said.run, "cyan"))
        parts.append(self._in(said.text, colour))
        parts += [f"{self._in(f'{name}=', 'bright_black')}{clean(_short(value))}" for name, value in said.rest]
        return "\n".join(["  ".join(part for part in parts if part), *_frames(error)])

    def _in(self, text: str, colour: str | None) -> str:
        return click.style(text, fg=colour) if self._colours and colour else text


class _Said:
    """One line, taken apart: whose run it is about, the text, the fields that the text leaves out."""

    def __init__(self, event: str, fields: Fields) -> None:
        of_run = "run" in fields and "function" in fields
        self.run = f"{fields.get('app', '')}/{fields['function']} {str(fields['run'])[-RUN_TAIL:]}" if of_run else ""
        template = _template(event, fields)
        shown = {"app", "function", "run", "attempt", "step"} if of_run else set()
        shown |= {"child", "worker", "process", *(("by",) if event == "run.started" else ())}
        if template is None:
            step = f"[{fields['step']}] " if of_run and "step" in fields else ""
            self.text = clean(f"{step}{event}")
        else:
            self.text = template.format_map(_Texts(fields))
            shown |= {name for _, name, _, _ in Formatter().parse(template) if name}
            shown |= UNSHOWN.get(event, frozenset())
        self.rest = [(name, value) for name, value in fields.items() if name not in shown]


class _Texts(dict[str, str]):
    """The fields as a template shows them."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__({name: clean(_short(value)) for name, value in fields.items()})
        if isinstance(fields.get("took_ms"), int):
            self["took_ms"] = length(fields["took_ms"])
        if isinstance(fields.get("attempt"), int):
            self["attempt"] = str(fields["attempt"] + 1)
        for name in ("runs", "ticks"):
            if isinstance(fields.get(name), int):
                self[name] = f"{fields[name]} {name.removesuffix('s') if fields[name] == 1 else name}"
        self["at"] = f", at {_short(fields['at'])}" if fields.get("at") else ""

    def __missing__(self, name: str) -> str:
        return "?"


def _template(event: str, fields: Fields) -> str | None:
    if event == "step failed":
        return FAILED_STEP_FOR_GOOD if "final" in fields else FAILED_STEP
    if event == "run.started" and not fields.get("by"):
        return "started"
    return TEXTS.get(event)


def _process(fields: Fields) -> str:
    """Which process says it: a name that it has given itself, else the worker's child, else this command."""
    if "process" in fields:
        return str(fields["process"])
    return f"worker {fields['child']}" if "child" in fields else "dev"


def _short(value: Any) -> str:
    """A path below the current directory without that."""
    text = str(value)
    here = f"{os.getcwd()}{os.sep}"
    return text.removeprefix(here)


def _exception(given: Any) -> BaseException | None:
    if isinstance(given, tuple):
        given = given[1]
    if given is True:
        given = sys.exc_info()[1]
    return given if isinstance(given, BaseException) else None


def _frames(error: BaseException | None) -> Iterator[str]:
    """The user's own frames and the error, without those of the import machinery; of a syntax error the place."""
    if error is None:
        return
    if isinstance(error, SyntaxError):
        lines = "".join(traceback.format_exception_only(error)).splitlines()
    else:
        lines = stack_of(error).splitlines()
    others, here = False, f'"{os.getcwd()}{os.sep}'
    for line in lines:
        if line.startswith("  File "):
            others = line.startswith(_IMPORTING)
        elif not line.startswith("    "):
            others = False
        if not others:
            yield "    " + clean(line.replace(here, '"'))
