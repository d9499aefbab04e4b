"""The run of `on_failure` that a failed run has started: found by time and by what it is about, since nobody stores that."""

from __future__ import annotations

from typing import Final

from durableq.model.event import decode_event
from durableq.model.function import ON_FAILURE
from durableq.model.run import State
from durableq.store.reads import Reads, RunRow
from durableq.words.errors import CodecError

LOOKED_AT_MAX: Final = 20
"""Of the handler's runs from then on. With more between a failure and its own handler, that is not shown."""


async def failure_handler(reads: Reads, failed: RunRow) -> str:
    """The id of that run; "" when there is none, or it is not found among the next few."""
    if failed.state is not State.FAILED or failed.function.endswith(ON_FAILURE):
        return ""
    for run_id, given in await reads.begun_after(failed.function + ON_FAILURE, failed.ended_at_ms, LOOKED_AT_MAX):
        try:
            about = decode_event(given, f"{failed.ended_at_ms}-0").data.get("run_id")
        except CodecError:
            continue
        if about == failed.id:
            return run_id
    return ""
