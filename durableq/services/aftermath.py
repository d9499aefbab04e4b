"""The run of `on_failure` that a failed run has started: found by time and by what it is about, since nobody stores that."""

from __future__ import annotations

from typing import Final

from durableq.model.function import ON_FAILURE
from durableq.model.run import State
from durableq.store.reads import Reads, RunRow

LOOKED_AT_MAX: Final = 20
"""Of the handler's runs from then on. With more between a failure and its own handler, that is not shown."""


async def failure_handler(reads: Reads, failed: RunRow) -> str:
    """The id of that run; "" when there is none, or it is not found among the next few."""
    if failed.state is not State.FAILED or failed.function.endswith(ON_FAILURE):
        return ""
    about = failed.id.encode()
    for run_id, beginning in await reads.begun_after(failed.function + ON_FAILURE, failed.ended_at_ms, LOOKED_AT_MAX):
        if about in beginning:  # as the id of its event: of a batch that has failed, the whole may be 10 MiB
            return run_id
    return ""
