"""Views as JSON: the names of their fields, times in unix ms, null for what is not there.

What JSON has no word for is written as text: bytes in base64, dates and times in ISO 8601, durations in seconds, decimals
and UUIDs as they print, NaN and infinity by name; tuples and sets become lists.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from durableq.app import App
from durableq.cli.plain_flow import held_up
from durableq.cli.reasons import Reason
from durableq.model.event import Event
from durableq.services.awaited import AwaitedView
from durableq.services.deploying import Deployed
from durableq.services.views import CronView, ErrorView, FunctionView, RunView, StepView


def to_json(value: Any) -> str:
    """One document, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def listed_run(run: RunView) -> dict[str, Any]:
    """A run of a list: without event, steps and result."""
    return {
        "id": run.id,
        "function": run.function,
        "status": run.status,
        "created_at_ms": run.created_at_ms,
        "started_at_ms": run.started_at_ms or None,
        "ended_at_ms": run.ended_at_ms or None,
        "due_at_ms": run.due_at_ms or None,
        "attempt": run.attempt,
        "deaths": run.deaths,
        "parent": run.parent or None,
        "rerun_of": run.rerun_of or None,
        "rerun_as": run.rerun_as or None,
        "held_up": held_up(run.held_up),
    }


def whole_run(run: RunView) -> dict[str, Any]:
    """A run with everything that is kept of it."""
    return {
        **listed_run(run),
        "event": _event(run.event),
        "events": [_event(event) for event in run.events],
        "steps": [_step(step) for step in run.steps],
        "result": plain(run.result),
        "error": _error(run.error),
        "crashes": list(run.crashes),
        "on_failure": run.on_failure or None,
    }


def function(view: FunctionView) -> dict[str, Any]:
    """A registered function."""
    return {
        "id": view.id,
        "name": view.name,
        "triggers": list(view.triggers),
        "retries": view.retries,
        "queued": view.queued,
        "waiting": view.waiting,
        "completed": view.completed,
        "failed": view.failed,
        "cancelled": view.cancelled,
        "workers": view.workers,
        "faults": view.faults,
        "last_fault": view.last_fault or None,
        "crons": [_cron(cron) for cron in view.crons],
        "cancel_on": list(view.cancel_on),
        "start_within_ms": view.start_within_ms or None,
        "finish_within_ms": view.finish_within_ms or None,
        "on_failure": view.on_failure or None,
        "flow": plain(view.flow),
        "paused": view.paused or None,
        "paused_at_ms": view.paused_at_ms or None,
    }


def _cron(cron: CronView) -> dict[str, Any]:
    return {
        "cron": cron.cron,
        "timezone": cron.timezone,
        "next_tick_ms": cron.next_tick_ms or None,
        "due_at_ms": cron.due_at_ms or None,
        "ticks": cron.ticks,
        "last_tick_ms": cron.last_tick_ms or None,
        "last_run": cron.last_run or None,
        "skipped": cron.skipped,
        "skipped_tick_ms": cron.skipped_tick_ms or None,
        "missed": cron.missed,
        "missed_at_ms": cron.missed_at_ms or None,
    }


def deployed(done: Deployed) -> dict[str, Any]:
    """What a deployment changed."""
    return {
        "app": done.app,
        "release": done.release,
        "functions": done.functions,
        "added": done.added,
        "changed": [
            {
                "function": name,
                "options": [
                    {"option": change.option, "before": plain(change.before), "after": plain(change.after)}
                    for change in changes
                ],
            }
            for name, changes in done.changed.items()
        ],
        "removed": done.removed,
        "lingering": done.lingering,
    }


def checked(apps: Mapping[str, App], reasons: Sequence[Reason]) -> dict[str, Any]:
    """What `check` found: the apps that can be served, by how they were named, and why others cannot."""
    return {
        "ok": not reasons,
        "apps": [
            {"app": app.id, "reference": reference, "functions": [each.full_id for each in app.functions.values()]}
            for reference, app in apps.items()
        ],
        "reasons": [{"where": reason.where or None, "reason": reason.text} for reason in reasons],
    }


def _event(event: Event[dict[str, Any]] | None) -> dict[str, Any] | None:
    if event is None:
        return None
    return {
        "name": event.name,
        "id": event.id,
        "ts": event.ts,
        "data": plain(event.data),
        "user": plain(event.user),
        "v": event.v,
    }


def _step(step: StepView) -> dict[str, Any]:
    return {
        "id": step.id,
        "occurrence": step.occurrence,
        "op": step.op,
        "status": step.status,
        "attempt": step.attempt,
        "started_at_ms": step.started_at_ms or None,
        "ended_at_ms": step.ended_at_ms or None,
        "due_at_ms": step.due_at_ms or None,
        "result": plain(step.result),
        "error": _error(step.error),
        "awaited": _awaited(step.awaited),
    }


def _awaited(awaited: AwaitedView | None) -> dict[str, Any] | None:
    if awaited is None:
        return None
    known = {
        "event": awaited.event,
        "if": awaited.condition,
        "signal": awaited.signal,
        "function": awaited.function,
        "run": awaited.run,
        "status": awaited.status,
        "sender": awaited.sender,
    }
    return {name: text or None for name, text in known.items()}


def _error(error: ErrorView | None) -> dict[str, str] | None:
    return None if error is None else {"name": error.name, "message": error.message, "stack": error.stack}


def plain(value: Any) -> Any:
    """A recorded value in JSON's words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Event):
        return _event(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)
