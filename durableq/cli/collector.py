"""Python's cycle collector in a child: seldom enough not to cost what runs cost, and in time for what user code leaves.

A run is freed with its last reference (tests/engine/test_freed.py), so the collector is needed for user code alone. By
default it looks whenever 700 more objects were made than freed, which is one claim of runs: it would walk through what is
in hand over and over and find nothing, at a third of a run's cost. After COLLECT_AFTER it costs next to nothing.

A cycle of user code may hold much memory in few objects, which a count of objects does not see: so the process's size is
looked at as well, and everything collected when that has grown.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

COLLECT_AFTER: Final = 10_000
"""With 1,000 runs in hand 5,000 costs 2 us a step, this less than one, and more saves nothing that can be measured."""

GROWTH_MB: Final = 64
"""Growth after which everything is collected; or a quarter, of a process above 256 MB."""

LOOK_S: Final = 0.25
"""How often the size is looked at: 20 us each time. A second was enough for runs that each left 1 MB to gather 400."""


class Collector:
    """Made before apps are imported. `settle` once, after start-up; then `watch`, or `look` now and then."""

    def __init__(self, resident_mb: Callable[[], int]) -> None:
        self._resident_mb = resident_mb
        self._before = gc.get_threshold()
        self._low_mb = 0

    def settle(self) -> None:
        """Leave out what was imported, which stays for ever, and look seldom from now on. What an app has set stays."""
        gc.collect()
        gc.freeze()
        if gc.get_threshold() == self._before:
            gc.set_threshold(COLLECT_AFTER, 10, 10)
        self._low_mb = self._resident_mb()

    async def watch(self) -> None:
        """Look every LOOK_S, until this is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> bool:
        """Collect if the process has grown much since it was last as small as this. Whether it did."""
        now_mb = self._resident_mb()
        grown = gc.isenabled() and now_mb - self._low_mb >= max(GROWTH_MB, self._low_mb // 4)
        if grown:
            gc.collect()
            self._low_mb = self._resident_mb()
        else:
            self._low_mb = min(self._low_mb, now_mb)
        return grown
