"""Views: runs and functions as people and programs read them. Plain values; the command line and the client share them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from durableq.model.event import Event, decode_event
from durableq.model.failure import Failure
from durableq.model.memo import Memo, MemoKind
from durableq.model.run import State
from durableq.services.notes import Note, read_note
from durableq.store.crons import CronRow, Crons
from durableq.store.reads import Reads, RunDetails, RunRow
from durableq.store.registry import Registry
from durableq.words import codec
from durableq.words.errors import CodecError


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
    """completed, failed, sleeping, retrying or abandoned."""
    attempt: int
    started_at_ms: int
    ended_at_ms: int
    due_at_ms: int = 0
    result: Any = None
    error: ErrorView | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run. Times in ms, 0: not yet. `event`, `steps`, `result` and `error` are there when one run was asked for.

    `error` is what the run failed with; before its end, what the last attempt of the code outside steps met.
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
    steps: tuple[StepView, ...] = ()
    result: Any = None
    error: ErrorView | None = None
    crashes: tuple[str, ...] = field(default=())


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


DESCRIBED: Final = frozenset(MemoKind) - {MemoKind.DATA, MemoKind.ERROR, MemoKind.MATCHED, MemoKind.ABANDONED}
"""The kinds whose blob says which step it is, and until when it waits."""


def run_view(stored: RunRow | RunDetails) -> RunView:
    """A run as read, decoded. What cannot be decoded is shown as such, never raised."""
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
        event = decode_event(stored.input, f"{row.created_at_ms}-0") if stored.input else None
    except CodecError:
        event = None
    crashes = tuple(entry.note.decode("utf-8", "replace") for entry in stored.history if entry.verb == "crashed")
    return _view(row, event=event, steps=_steps(stored), result=result, error=error, crashes=crashes)


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
        **more,
    )


def error_view(blob: bytes) -> ErrorView:
    """A stored failure. One that Lua wrote begins with T: name, newline, message."""
    if blob.startswith(b"T"):
        name, _, message = blob[1:].decode("utf-8", "replace").partition("\n")
        return ErrorView(name, message)
    try:
        failure = Failure.decode(blob)
    except CodecError as error:
        return ErrorView("CodecError", str(error))
    return ErrorView(failure.name, failure.message, failure.stack)


def _steps(stored: RunDetails) -> tuple[StepView, ...]:
    notes: dict[str, Note] = {}
    for entry in stored.history:
        note = read_note(entry.note)
        if note is not None:
            notes[entry.key] = note
    for key, packed in stored.notes.items():
        note = read_note(packed)
        if note is not None:
            notes[key] = note
    ordered = sorted(stored.memos.items(), key=lambda item: (item[1].number or 1 << 60, item[1].at_ms))
    ends = {entry.key: entry.at_ms for entry in stored.history}
    return tuple(_step(key, memo, notes.get(key), ends) for key, memo in ordered)


def _step(key: str, memo: Memo, note: Note | None, ends: dict[str, int]) -> StepView:
    held = _value(memo.blob) if memo.kind in DESCRIBED else None
    about = held if isinstance(held, dict) else {}
    name = note.step_id if note else str(about.get("id", key))
    op = note.op if note else str(about.get("op", "run"))
    attempt = int(about.get("attempt", note.attempt if note else 0))
    started = note.started_at_ms if note else 0
    due = int(about.get("due", 0))
    match memo.kind:
        case MemoKind.DATA:
            value = _value(memo.blob) if memo.blob else None
            return StepView(name, op, "completed", attempt, started, memo.at_ms, result=value)
        case MemoKind.ERROR:
            return StepView(name, op, "failed", attempt, started, memo.at_ms, error=error_view(memo.blob))
        case MemoKind.WOKEN:
            return StepView(name, op, "completed", attempt, started, memo.at_ms, due)
        case MemoKind.MATCHED:
            return StepView(name, op, "completed", attempt, started, memo.at_ms, due)
        case MemoKind.TIMED_OUT:
            return StepView(name, op, "timed out", attempt, started, memo.at_ms, due)
        case MemoKind.AWAITING | MemoKind.SIGNALLING | MemoKind.INVOKING:
            return StepView(name, op, "waiting", attempt, started, 0, due)
        case MemoKind.SLEEPING:
            return StepView(name, op, "sleeping", attempt, started, 0, due)
        case MemoKind.RETRYING:
            failed = about.get("failure")
            error = (
                ErrorView(failed["name"], failed["message"], failed.get("stack", ""))
                if isinstance(failed, dict)
                else None
            )
            return StepView(name, op, "retrying", attempt, started, ends.get(key, 0), due, error=error)
        case MemoKind.ABANDONED:
            return StepView(name, op, "abandoned", attempt, started, memo.at_ms)


def _value(blob: bytes) -> Any:
    try:
        return codec.decode(blob)
    except CodecError as error:
        return f"({error})"


RETIRED: Final[dict[str, Any]] = {"name": "(retired)", "triggers": [], "retries": 0}


async def function_views(registry: Registry, reads: Reads, crons: Crons) -> list[FunctionView]:
    """Every function of a namespace."""
    _, declarations = await registry.read()
    ticking = [(row.function, _cron(row)) for row in await crons.listed()]
    faults = await registry.faults()
    leases = await reads.leases()
    found = []
    for full_id in sorted({*declarations, *await reads.functions_with_runs()}):
        # A function that was retired may still have queued runs, which somebody must be able to see.
        stored = declarations.get(full_id)
        declared: dict[str, Any] = codec.decode(stored) if stored is not None else RETIRED
        queue = await reads.queue(full_id)
        count, _, reason = faults.get(full_id, (0, 0, ""))
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
