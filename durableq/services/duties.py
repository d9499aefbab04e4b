"""What one child of a worker is to do, and what it tells its parent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from durableq.model.function import Function
from durableq.words.errors import StateLost


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
