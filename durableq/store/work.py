"""What is left to do, counted in one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from durableq.store.calls import Calls


class WorkLeft(NamedTuple):
    """Events to route; runs ready for the functions of some leases, and in hand under them; timers that are due; events to
    deliver to what waits for them."""

    unrouted: int
    ready: int
    in_hand: int
    due: int
    posted: int = 0


class Work:
    """Counts what is left in one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def left(self, leases: Sequence[str]) -> WorkLeft:
        """What is left now for the children that have these leases."""
        return WorkLeft(*await self._calls.run("count_work", *leases))
