"""Views: runs and functions as people and programs read them. Plain values; the command line and the client share them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from durableq.model.event import Event, decode_given
from durableq.model.failure import Failure
from durableq.model.flow_text import FLOW_OPTIONS
from durableq.model.memo import Memo, MemoKind
from durableq.model.rerunning import occurrences
from durableq.model.run import State
from durableq.services.aftermath import failure_handler
from durableq.services.awaited import (
    AwaitedView,
    awaited_view,
    children_of,
    event_of,
    notes_of,
    senders_of,
    with_status,
)
from durableq.services.flow_views import HeldUp
from durableq.services.notes import Note
from durableq.services.pausing import paused_functions
from durableq.store.crons import CronRow, Crons
from durableq.store.flow import Flow
from durableq.store.reads import Reads, RunDetails, RunRow
from durableq.store.registry import Registry
from durableq.words import codec
from durableq.words.errors import CodecError
from durableq.words.periods import format_ms


@dataclass(frozen=True, slots=True)
class ErrorView:
    """A recorded error: class name, message, the user's own frames."""

    name: str
    message: str
    stack: str = ""


@dataclass(frozen=True, slots=True)
class StepView:
    """A recorded step or wait. Times in ms; 0: not known (of waits the newest 1,000 entries are kept)."""

    id: str
    op: str
    status: str
    """completed, failed, sleeping, retrying, waiting, timed out or abandoned; void: what was pending when its run ended."""
    attempt: int
    started_at_ms: int
    ended_at_ms: int
    due_at_ms: int = 0
    result: Any = None
    """What it came to. Of a wait for an event the Event, of one for a signal its data, of an invoke the child's result."""
    error: ErrorView | None = None
    awaited: AwaitedView | None = None
    """What it waits for, or did: an event, a signal, a child run."""
    occurrence: int = 1
    """Which time the run used the id: 2 and more in loops."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run. Times in ms, 0: not yet. `event`, `steps`, `result` and `error` are there when one run was asked for.

    `error` is what the run failed with, or RunCancelled with what it was cancelled by; before its end, what the last attempt
    of the code outside steps met.
    """

    id: str
    function: str
    status: str
    created_at_ms: int
    started_at_ms: int
    ended_at_ms: int
    attempt: int
    due_at_ms: int
    """When it may go on at the earliest (a delayed start, a backoff); 0 where nothing of the kind holds it."""
    deaths: int
    event: Event[dict[str, Any]] | None = None
    """What started it; the first one of a batch."""
    events: tuple[Event[dict[str, Any]], ...] = ()
    """All of them: one, or the batch."""
    steps: tuple[StepView, ...] = ()
    result: Any = None
    error: ErrorView | None = None
    crashes: tuple[str, ...] = field(default=())
    parent: str = ""
    """The run that invoked it; "" for none."""
    on_failure: str = ""
    """The run of its function's on_failure, when one run was asked for; "" for none."""
    rerun_of: str = ""
    """The run whose work it does again; "" for none."""
    rerun_as: str = ""
    """The newest run that does its work again; "" for none. That may be gone by now."""
    held_up: HeldUp | None = None
    """Of a queued run: the limit at which it waits, or that its function is paused; None where nothing of the kind holds it."""

    @property
    def waiting_for(self) -> tuple[StepView, ...]:
        """The steps that it waits for: sleeps, retries, events, signals, children."""
        return tuple(step for step in self.steps if step.status in WAITING)


WAITING: Final = frozenset({"sleeping", "retrying", "waiting"})
"""The statuses of steps that something has still to happen to."""


@dataclass(frozen=True, slots=True)
class CronView:
    """A cron trigger. Times in ms, 0: never, or not yet known."""

    cron: str
    timezone: str
    next_tick_ms: int
    due_at_ms: int
    """When the next tick is performed: later than its time by its jitter. In the past: no scheduler runs, or it is held up."""
    ticks: int
    """How many runs it has started."""
    last_tick_ms: int
    last_run: str
    skipped: int
    """Ticks left out, since a run before was not finished (overlap="skip")."""
    skipped_tick_ms: int
    missed: int
    """Ticks that nobody performed in time, and that catch_up does not ask for."""
    missed_at_ms: int


@dataclass(frozen=True, slots=True)
class FunctionView:
    """A registered function. `workers` 0 with `queued` above: nobody can execute it."""

    id: str
    name: str
    triggers: tuple[str, ...]
    retries: int
    queued: int
    waiting: int
    completed: int
    failed: int
    workers: int
    faults: int = 0
    """How often a trigger could not be evaluated."""
    last_fault: str = ""
    crons: tuple[CronView, ...] = ()
    cancelled: int = 0
    cancel_on: tuple[str, ...] = ()
    """The events that cancel its runs, with their conditions."""
    start_within_ms: int = 0
    """timeouts.start; 0: none."""
    finish_within_ms: int = 0
    """timeouts.finish; 0: none."""
    on_failure: str = ""
    """The full id of the function that a failed run of it starts; "" for none."""
    paused: str = ""
    """`wait` (what is triggered meanwhile is queued) or `skip` (it is left out); "" while it is not paused."""
    paused_at_ms: int = 0
    flow: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Its flow control by option, as declared: `concurrency` is a list of limits, lengths are in ms, keys expressions."""


CHILDREN_MAX: Final = 1000

DESCRIBED: Final = frozenset(MemoKind) - {MemoKind.DATA, MemoKind.ERROR, MemoKind.MATCHED, MemoKind.ABANDONED}
"""The kinds whose blob says which step it is, and until when it waits."""


async def whole_view(reads: Reads, run_id: str) -> RunView | None:
    """One run with everything that is kept of it, its children's statuses, and the run of on_failure; None: it is not there."""
    details = await reads.details(run_id)
    if details is None:
        return None
    view = run_view(details, await reads.states(children_of(details)[:CHILDREN_MAX]))
    return replace(view, on_failure=await failure_handler(reads, details.row))


def run_view(stored: RunRow | RunDetails, states: Mapping[str, State] = MappingProxyType({})) -> RunView:
    """A run as read, decoded, with what is known of its children. What cannot be decoded is shown as such, never raised."""
    if isinstance(stored, RunRow):
        return _view(stored)
    row = stored.row
    result, error = None, None
    if row.state is State.COMPLETED:
        result = _value(stored.output) if stored.output else None
    elif row.state in (State.FAILED, State.CANCELLED):
        error = error_view(stored.output)
    elif row.attempt:
        error = _last_attempt(stored)
    try:
        events = tuple(decode_given(stored.input, row.created_at_ms)) if stored.input else ()
    except CodecError:
        events = ()
    crashes = tuple(entry.note.decode("utf-8", "replace") for entry in stored.history if entry.verb == "crashed")
    event = events[0] if events else None
    return _view(
        row, event=event, events=events, steps=_steps(stored, states), result=result, error=error, crashes=crashes
    )


def _last_attempt(stored: RunDetails) -> ErrorView | None:
    """What the last attempt of the code outside steps met, of a run that may still try again."""
    met = [entry.note for entry in stored.history if entry.verb == "retry"]
    return error_view(met[-1]) if met else None


def _view(row: RunRow, **more: Any) -> RunView:
    return RunView(
        row.id,
        row.function,
        row.state.label,
        row.created_at_ms,
        row.begun_at_ms,
        row.ended_at_ms,
        row.attempt,
        row.due_at_ms,
        row.deaths,
        parent=row.parent,
        rerun_of=row.rerun_of,
        rerun_as=row.rerun_as,
        **more,
    )


def error_view(blob: bytes) -> ErrorView:
    """A stored failure."""
    try:
        failure = Failure.decode(blob)
    except CodecError as error:
        return ErrorView("CodecError", str(error))
    return ErrorView(failure.name, failure.message, failure.stack)


def _steps(stored: RunDetails, states: Mapping[str, State]) -> tuple[StepView, ...]:
    notes = notes_of(stored)
    ordered = sorted(stored.memos.items(), key=lambda item: (item[1].number or 1 << 60, item[1].at_ms))
    ends = {entry.key: entry.at_ms for entry in stored.history}
    views = [_step(key, memo, notes.get(key), ends, states) for key, memo in ordered]
    used = occurrences((key, view.id) for view, (key, _) in zip(views, ordered, strict=True))
    views = [
        replace(view, occurrence=used.get(key, 1)) if used.get(key, 1) > 1 else view
        for view, (key, _) in zip(views, ordered, strict=True)
    ]
    senders = senders_of(stored)
    if senders:
        views = [_sent(view, senders.get(key, "")) for view, (key, _) in zip(views, ordered, strict=True)]
    if stored.row.state.final:
        views = [replace(view, status="void") if view.status in WAITING else view for view in views]
    return tuple(views)


def _step(key: str, memo: Memo, note: Note | None, ends: Mapping[str, int], states: Mapping[str, State]) -> StepView:
    held = _value(memo.blob) if memo.kind in DESCRIBED else None
    about = held if isinstance(held, dict) else {}
    name = note.step_id if note else str(about.get("id", key))
    op = note.op if note else str(about.get("op", "run"))
    attempt = int(about.get("attempt", note.attempt if note else 0))
    started = note.started_at_ms if note else 0
    due = int(about.get("due", 0))
    awaited = with_status(awaited_view(about) or awaited_view(note.awaited if note else {}), states)
    step = StepView(name, op, "completed", attempt, started, memo.at_ms, due, awaited=awaited)
    match memo.kind:
        case MemoKind.DATA:
            return replace(step, result=_value(memo.blob) if memo.blob else None)
        case MemoKind.ERROR:
            return replace(step, status="failed", error=error_view(memo.blob))
        case MemoKind.WOKEN:
            return step
        case MemoKind.MATCHED:
            return replace(step, result=event_of(memo))
        case MemoKind.TIMED_OUT:
            return replace(step, status="timed out")
        case MemoKind.AWAITING | MemoKind.SIGNALLING | MemoKind.INVOKING:
            return replace(step, status="waiting", ended_at_ms=0)
        case MemoKind.SLEEPING:
            return replace(step, status="sleeping", ended_at_ms=0)
        case MemoKind.RETRYING:
            failed = about.get("failure")
            error = (
                ErrorView(failed["name"], failed["message"], failed.get("stack", ""))
                if isinstance(failed, dict)
                else None
            )
            return replace(step, status="retrying", ended_at_ms=ends.get(key, 0), error=error)
        case MemoKind.ABANDONED:
            return replace(step, status="abandoned")


def _sent(view: StepView, sender: str) -> StepView:
    if not sender or view.awaited is None:
        return view
    return replace(view, awaited=replace(view.awaited, sender=sender))


def _value(blob: bytes) -> Any:
    try:
        return codec.decode(blob)
    except CodecError as error:
        return f"({error})"


RETIRED: Final[dict[str, Any]] = {"name": "(retired)", "triggers": [], "retries": 0}


async def function_views(
    registry: Registry, reads: Reads, crons: Crons, flow: Flow, only: Collection[str] | None = None
) -> list[FunctionView]:
    """Every function of a namespace, or those named."""
    _, declarations = await registry.read()
    ticking = [(row.function, _cron(row)) for row in await crons.listed()]
    faults = await registry.faults()
    leases = await reads.leases()
    pauses = await paused_functions(flow, declarations)
    found = []
    for full_id in sorted({*declarations, *await reads.functions_with_runs()}):
        if only is not None and full_id not in only:
            continue
        # A function that was retired may still have queued runs, which somebody must be able to see.
        stored = declarations.get(full_id)
        declared: dict[str, Any] = codec.decode(stored) if stored is not None else RETIRED
        queue = await reads.queue(full_id)
        count, _, reason = faults.get(full_id, (0, 0, ""))
        timeouts = declared.get("timeouts") or {}
        after_failure = f"{full_id}:on-failure"
        found.append(
            FunctionView(
                full_id,
                declared["name"],
                tuple(_trigger(trigger) for trigger in declared["triggers"]),
                declared["retries"],
                queue.ready,
                queue.waiting,
                queue.completed,
                queue.failed,
                sum(full_id in lease.functions for lease in leases),
                count,
                reason,
                tuple(view for function, view in ticking if function == full_id),
                queue.cancelled,
                tuple(_listener(stored) for stored in declared.get("cancel_on") or ()),
                int(timeouts.get("start_ms") or 0),
                int(timeouts.get("finish_ms") or 0),
                after_failure if after_failure in declarations else "",
                *pauses.get(full_id, ("", 0)),
                {option: declared[option] for option in FLOW_OPTIONS if declared.get(option)},
            )
        )
    return found


def _cron(row: CronRow) -> CronView:
    stored = _value(row.spec)
    known: dict[str, Any] = stored if isinstance(stored, dict) else {}
    return CronView(
        str(known.get("cron", "?")),
        str(known.get("timezone", "?")),
        row.next_ms,
        row.look_at_ms if row.next_ms else 0,
        row.ticks,
        row.tick_ms,
        row.run_id,
        row.skipped,
        row.skipped_tick_ms,
        row.missed,
        row.missed_at_ms,
    )


def _trigger(stored: dict[str, Any]) -> str:
    if "cron" in stored:
        return f"cron {stored['cron']} {stored['timezone']}"
    return f"{stored['event']} if {stored['if']}" if "if" in stored else str(stored["event"])


def _listener(stored: Mapping[str, Any]) -> str:
    condition = f" if {stored['if']}" if stored.get("if") else ""
    within = f" within {format_ms(stored['timeout_ms'])}" if stored.get("timeout_ms") else ""
    return f"{stored['event']}{condition}{within}"
