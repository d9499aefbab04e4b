"""What the app, the driver and the judge agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

APP_ID = "waits"
ANSWERED, ANNOUNCED, CANCELLED = "ledger/answered", "ledger/announced", "ledger/cancelled"
CONDITIONS = {
    ANSWERED: "event.data.key == async.data.key",
    ANNOUNCED: "async.data.low <= event.data.number && event.data.number < async.data.high",
    CANCELLED: "event.data.key == async.data.key",
}
"""What a run waits for, by the event's name: the second has no equality, so no index finds it."""

FINISH_S = 4
"""By when a run of `hurried` must have finished."""


def matches(name: str, own: Mapping[str, Any], arriving: Mapping[str, Any]) -> bool:
    """What CONDITIONS say, of the data of two events."""
    if name == ANNOUNCED:
        return bool(arriving["low"] <= own["number"] < arriving["high"])
    return bool(own["key"] == arriving["key"])
