"""Says which code has ended of runs that were cancelled in hand, or whose turn ended without it: then their slots return.

Authority: `leaving` of the lease (decision 013). One call for all that end within the same turn of the loop, at most 100 in
each; while Redis is away the link keeps it, and sends it when Redis is back.

Failures. LEASE_LOST: they have returned with the lease. What could not be said for another reason the next comparison of
hands finds, since the hand names only what still executes: `amiss` asks for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from durableq.store.calls import BATCH
from durableq.store.failures import LeaseLost
from durableq.store.flow import Flow
from durableq.words.errors import DurableqError, RedisUnavailable, StateLost
from durableq.words.telemetry import Log


class Returning:
    """Returns the slots of what has ended, for one child."""

    def __init__(self, flow: Flow, log: Log, *, amiss: Callable[[], None]) -> None:
        self._flow = flow
        self._log = log
        self._amiss = amiss
        self._ended: dict[str, list[str]] = {}
        """By lease."""
        self._travelling: set[asyncio.Task[None]] = set()

    def ended(self, lease: str, names: Sequence[str]) -> None:
        """No code of these executes any more. Runs without slots may be among them."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._flush)
        self._ended.setdefault(lease, []).extend(names)

    async def kept_by(self, lease: str, names: Sequence[str]) -> list[str]:
        """Those of these for which slots are kept. Raises RedisUnavailable."""
        return sorted((await self._flow.leaving(lease)).intersection(names)) if names else []

    def _flush(self) -> None:
        ended, self._ended = self._ended, {}
        for lease, names in ended.items():
            for start in range(0, len(names), BATCH):
                saying = asyncio.get_running_loop().create_task(self._say(lease, names[start : start + BATCH]))
                self._travelling.add(saying)
                saying.add_done_callback(self._travelling.discard)

    async def _say(self, lease: str, names: Sequence[str]) -> None:
        try:
            await self._flow.free_slots(lease, names)
        except (LeaseLost, StateLost, RedisUnavailable):
            pass  # the lease is gone, or this process is leaving: they return with it
        except DurableqError as error:
            self._log.warning("slots.not_returned", runs=len(names), error=str(error))
            self._amiss()
