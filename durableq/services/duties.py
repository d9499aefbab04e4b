"""What one child of a worker is to do, how long it takes to leave, and what it tells its parent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from durableq.model.function import Function
from durableq.words.errors import StateLost

LEAVING_PATIENCE_S: Final = 1.0
ENDING_S: Final = 0.25
"""What code has, when the grace period is over, to end before its process does."""
LOST_S: Final = 10.0
"""What code has to end when the lease is lost: twice what leaving it takes."""


class Duties(NamedTuple):
    """What one child is to do."""

    functions: Mapping[str, Function[Any]]
    """By full id."""
    app_ids: Sequence[str]
    worker: str
    release: str
    concurrency: int
    alone: bool = False
    """Only runs that saw two deaths of their worker, one at a time; leaves when there are none."""


class Tellings(NamedTuple):
    """What a child tells its parent."""

    leased: Callable[[str], None]
    suspects: Callable[[], None]
    lost: Callable[[StateLost], None]
    done: Callable[[], None]
    quiet: Callable[[], None] = lambda: None
    """Nothing is claimed any more."""
