"""Views of flow control as JSON: the names of their fields, times in unix ms, null for what is not there."""

from __future__ import annotations

from typing import Any

from durableq.services.flow_looks import FunctionFlowView
from durableq.services.flow_views import HeldBackView, HeldUp, HolderView, LimitsView, LimitView, SkipView


def limits(view: LimitsView) -> dict[str, Any]:
    """Keys by pressure, and how many are not among them."""
    return {
        "keys": [limit(key) for key in view.keys],
        "more": view.more,
        "unseen": view.unseen,
        "parked": view.parked,
        "parked_at_least": view.at_least,
        "now_ms": view.now_ms,
    }


def limit(key: LimitView) -> dict[str, Any]:
    """One key of one limit."""
    return {
        "kind": key.kind,
        "key": key.key,
        "scope": key.scope,
        "functions": list(key.functions),
        "limit": key.limit,
        "taken": key.taken,
        "holders": [_holder(holder) for holder in key.holders],
        "parked": key.parked,
        "parked_at_least": key.at_least,
        "oldest_ms": key.oldest_ms or None,
        "oldest_run": key.oldest_run or None,
        "opens_at_ms": key.opens_at_ms or None,
        "hold": key.hold or None,
        "period_ms": key.period_ms or None,
        "pressure": key.pressure,
        "name": key.name,
    }


def function_flow(view: FunctionFlowView) -> dict[str, Any]:
    """What a function's own fields do not have."""
    return {
        "due_now": view.due_now,
        "options": [
            {"option": one.option, "now": one.now or None, "key": one.key, "about": one.about or None}
            for one in view.options
        ],
        "limits": limits(view.limits),
        "held_back": [held_back(one) for one in view.held_back],
        "held_back_more": view.held_back_more,
        "skips": [skip(one) for one in view.skips],
        "skipped": dict(view.skipped),
        "key_faults": [
            {"option": one.option, "times": one.times, "at_ms": one.at_ms, "reason": one.reason}
            for one in view.key_faults
        ],
    }


def held_back(one: HeldBackView) -> dict[str, Any]:
    """A debounce or a batch that is pending."""
    return {
        "kind": one.kind,
        "key": one.key,
        "events": one.events,
        "since_ms": one.since_ms,
        "fires_at_ms": one.fires_at_ms or None,
        "run": one.run,
        "place": one.place,
    }


def skip(one: SkipView) -> dict[str, Any]:
    """A trigger that started nothing."""
    return {
        "at_ms": one.at_ms,
        "reason": one.reason,
        "key": one.key,
        "why": one.why,
        "event_name": one.event_name or None,
        "event_id": one.event_id or None,
        "place": one.place,
        "other": one.other or None,
    }


def held_up(held: HeldUp | None) -> dict[str, Any] | None:
    """Why a queued run is not claimed."""
    if held is None:
        return None
    return {
        "reason": held.reason,
        "key": held.key,
        "limit": held.limit,
        "taken": held.taken,
        "holders": [_holder(holder) for holder in held.holders],
        "opens_at_ms": held.opens_at_ms or None,
        "ahead": held.ahead,
        "since_ms": held.since_ms or None,
        "scope": held.scope or None,
    }


def _holder(holder: HolderView) -> dict[str, Any]:
    return {"run": holder.run, "begun_at_ms": holder.begun_at_ms or None, "leaving": holder.leaving}
