"""The event of a run that a tick has started: `durableq/cron.tick`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from durableq.model.cron.plan import Due
from durableq.model.event import Event, trusted_event

TICK_NAME: Final = "durableq/cron.tick"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def tick_event(function: str, key: str, cron: str, timezone: str, due: Due) -> Event[dict[str, Any]]:
    """The same for everybody who makes it. Its `ts` is the scheduled time, whatever the jitter."""
    app_id, _, function_id = function.partition("/")
    data = {
        "cron": cron,
        "timezone": timezone,
        "scheduled_at": _iso(due.tick_ms, timezone),
        "due_at": _iso(due.due_at_ms, timezone),
        "function_id": function_id,
        "app_id": app_id,
    }
    scheduled = _EPOCH + timedelta(milliseconds=due.tick_ms)
    return trusted_event(TICK_NAME, data, f"{function} {key} {scheduled:%Y-%m-%dT%H:%MZ}", due.tick_ms, None, None)


def _iso(at_ms: int, timezone: str) -> str:
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(timezone)).isoformat()
