"""Why flow control did not start a run, for people: what the scripts tell as `reason key other` (decision 012)."""

from __future__ import annotations

import re
from typing import Final

from durableq.model.gate_names import LETTERS, gate_name
from durableq.words.errors import RunSkipped

NOBODY: Final = "-"

_TOLD: Final = re.compile(r"(\S+) (\S+) (\S+)\Z")
_CHILD: Final = re.compile(r"(\S+/\S+) (\S+ \S+ \S+)\Z")
_WHY: Final = {
    "idempotency": "{run} was started for it before",
    "rate_limit": "as many have been started as may be within its period",
    "singleton": "{run} has not ended",
    "concurrency": "it would wait for itself: every slot is held until its end by {run} or another run that waits for it",
    "paused": "it is paused, and skips what is triggered meanwhile",
}


def skipped(function: str, told: str) -> RunSkipped:
    """The error for a run of this function that was not started."""
    found = _TOLD.match(told)
    if found is None:
        return RunSkipped(f"{function} was not started: {told}")
    reason, name, other = found.groups()
    key = "" if name == NOBODY else gate_name(LETTERS.get(reason, "l"), name).key
    run_id = "" if other == NOBODY else other
    for_key = f", key {key!r}" if key is not None and name != NOBODY else ""
    why = _WHY.get(reason, "").format(run=f"run {run_id}" if run_id else "another run")
    message = f"{function} was not started ({reason}{for_key})" + (f": {why}" if why else "")
    return RunSkipped(message, reason=reason, key=key or "", run_id=run_id)


def skipped_child(message: str) -> str:
    """The message of a RunSkipped that a script has written at its parent's step, `function reason key other`, for people."""
    found = _CHILD.match(message)
    return message if found is None else str(skipped(*found.groups()))
