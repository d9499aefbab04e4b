"""One run as text: what started it, its steps in order, what it waits for, how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from durableq.cli import texts
from durableq.cli.flow_text import held_up_text
from durableq.model.event import Event
from durableq.model.rerunning import step_named
from durableq.services.awaited import AwaitedView
from durableq.services.views import ErrorView, RunView, StepView

_RESULT_MAX = 2_000
_CELL_MAX = 72
_EVENTS_MAX = 10
"""Of a batch."""
BODILESS: Final = frozenset({"sleep", "sleep_until", "wait_for_event", "wait_for_signal", "invoke"})
"""The kinds of steps that are never tried, since they have no body."""


def run_text(run: RunView, now_ms: int, workers: int | None) -> str:
    """The whole of it. `workers` is how many children can execute its function, None where nobody asked."""
    return "\n".join([*_head(run, now_ms, workers), *_steps(run, now_ms), *_end(run)])


def _head(run: RunView, now_ms: int, workers: int | None) -> Iterator[str]:
    yield _row("run", run.id)
    yield _row("function", run.function)
    yield _row("status", _status(run, now_ms, workers))
    if run.parent:
        yield _row("parent", f"run {run.parent}, which invoked it")
    if run.rerun_of:
        yield _row("rerun of", f"run {run.rerun_of}")
    if run.rerun_as:
        yield _row("rerun as", f"run {run.rerun_as}, the newest")
    if len(run.events) > 1:
        yield from _batch(run.events)
    elif run.event is not None:
        yield _row("event", f"{run.event.name}  {run.event.id or ''}")
        yield _row("data", texts.value(run.event.data, _RESULT_MAX))
    yield _row("created", texts.when(run.created_at_ms))
    if run.started_at_ms:
        yield _row("started", f"{texts.when(run.started_at_ms)}, {_after(run.created_at_ms, run.started_at_ms)} later")
    if run.ended_at_ms:
        # A run that is cancelled may never have started.
        before_ms = run.started_at_ms or run.created_at_ms
        yield _row("ended", f"{texts.when(run.ended_at_ms)}, {_after(before_ms, run.ended_at_ms)} later")
    for reason in run.crashes:
        yield _row("crashed", f"its worker's process: {reason or 'unknown'}")


def _batch(events: Sequence[Event[Any]]) -> Iterator[str]:
    yield _row("batch", f"{len(events):,} events, from {texts.when(events[0].ts or 0)}")
    for event in events[:_EVENTS_MAX]:
        yield _row("event", f"{event.name}  {event.id or ''}  {texts.value(event.data, _CELL_MAX)}")
    if len(events) > _EVENTS_MAX:
        yield _row("", f"and {len(events) - _EVENTS_MAX:,} more: --json prints all")


def _status(run: RunView, now_ms: int, workers: int | None) -> str:
    if run.status == "waiting" and run.due_at_ms:
        what = f"attempt {run.attempt + 1} of the code outside its steps" if run.started_at_ms else "its start"
        return f"waiting for {what}, {texts.ahead(run.due_at_ms, now_ms)}"
    if run.status == "waiting":
        waits = run.waiting_for
        more = f" and {len(waits) - 5:,} more" if len(waits) > 5 else ""
        return f"waiting for {', '.join(repr(step.id) for step in waits[:5]) or 'its next turn'}{more}"
    if run.held_up is not None and (workers != 0 or run.held_up.reason == "paused"):
        return held_up_text(run, run.held_up, now_ms)
    if run.status == "queued" and workers == 0:
        return f"queued; no worker that runs now has {run.function}"
    if run.status == "cancelled" and run.error is not None:
        return f"cancelled: {run.error.message}"
    return run.status


def _steps(run: RunView, now_ms: int) -> Iterator[str]:
    if not run.steps:
        return
    rows = [
        (
            step_named(step.id, step.occurrence),
            step.op,
            step.status,
            _tries(step),
            _took(step),
            _came_to(step, now_ms).rstrip(),
        )
        for step in run.steps
    ]
    lines = texts.table(("step", "kind", "status", "tries", "took", ""), rows, "  ").splitlines()
    yield ""
    yield lines[0]
    for step, line in zip(run.steps, lines[1:], strict=True):
        yield line
        if step.error is not None:
            yield from _stack(step.error, "      ")


def _tries(step: StepView) -> str:
    if step.op in BODILESS:
        return "-"
    return str(step.attempt if step.status == "retrying" else step.attempt + 1)


def _took(step: StepView) -> str:
    if not step.started_at_ms or not step.ended_at_ms:
        return "-"
    return texts.length(step.ended_at_ms - step.started_at_ms)


def _came_to(step: StepView, now_ms: int) -> str:
    if step.status == "sleeping":
        return f"until {texts.ahead(step.due_at_ms, now_ms)}"
    if step.status == "retrying":
        return f"again at {texts.ahead(step.due_at_ms, now_ms)}"
    if step.awaited is not None:
        return _answer(step, step.awaited, now_ms)
    if step.error is not None or step.op.startswith("sleep") or step.status != "completed":
        return ""
    if step.op == "send_signal":
        return f"run {step.result}" if step.result else "nobody waited for it"
    return texts.value(step.result, _CELL_MAX)


def _answer(step: StepView, awaited: AwaitedView, now_ms: int) -> str:
    """What a wait is for and until when, or what it came to."""
    if step.status == "waiting":
        return f"{_awaited(awaited)}, until {texts.ahead(step.due_at_ms, now_ms)}"
    if step.status != "completed":
        return _awaited(awaited)
    if isinstance(step.result, Event):
        event = step.result
        return f"event {event.name} {event.id or ''}: {texts.value(event.data, _CELL_MAX)}"
    return f"{_awaited(awaited)}: {texts.value(step.result, _CELL_MAX)}"


def _awaited(awaited: AwaitedView) -> str:
    if awaited.event:
        return f"event {awaited.event}" + (f" if {awaited.condition}" if awaited.condition else "")
    if awaited.signal:
        return f"signal {awaited.signal}" + (f" from run {awaited.sender}" if awaited.sender else "")
    status = f", {awaited.status}" if awaited.status else ""
    return f"run {awaited.run} ({awaited.function}{status})"


def _end(run: RunView) -> Iterator[str]:
    if run.status == "completed":
        yield ""
        yield _row("result", texts.value(run.result, _RESULT_MAX))
    elif run.error is not None and run.status != "cancelled":
        yield ""
        yield "error" if run.status == "failed" else f"error of attempt {run.attempt}"
        yield from _stack(run.error, "  ")
        if run.on_failure:
            yield ""
            yield _row("then", f"run {run.on_failure} of its on_failure")


def _stack(error: ErrorView, indent: str) -> Iterator[str]:
    """The user's frames, the error as their last line; where there are none, the error alone."""
    yield texts.clean_lines(error.stack or f"{error.name}: {error.message}", indent)


def _after(start_ms: int, end_ms: int) -> str:
    return texts.length(end_ms - start_ms)


def _row(name: str, text: str) -> str:
    return f"{name:<9} {texts.clean(text)}"
