"""Waiting for the result of a run, by a handle, where nothing executes by itself: whoever waits has the environment turned.

In the environment's own loop that is a `settle`. Within one that is under way, as when a step waits for a run that it has
started, and in another thread, it is waiting until all that is left executing waits as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

LOOK_EVERY_S: Final = 0.005


class Waiting:
    """Those who wait. `turning` and `turned` are told by who turns."""

    def __init__(
        self, settle: Callable[[], Awaitable[None]], loop: Callable[[], asyncio.AbstractEventLoop | None]
    ) -> None:
        self._settle = settle
        self._loop = loop
        self._turning = 0
        self._round = self._quiet_round = 0
        self._waiting = 0

    async def turn(self) -> None:
        """Execute what is due, as far as it can be. What a run came to is seen afterwards."""
        if not self._turning:
            if self._loop() in (None, asyncio.get_running_loop()):
                await self._settle()
            return
        self._waiting += 1
        round_now = self._round + 1  # that one may have looked before this waited
        try:
            while self._turning and self._quiet_round <= round_now:  # noqa: ASYNC110  # who turns may be in another thread
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self._waiting -= 1

    @contextmanager
    def turning(self) -> Iterator[None]:
        """While the environment turns."""
        self._turning += 1
        try:
            yield
        finally:
            self._turning -= 1

    def turned(self, executing: int, *, did: bool) -> None:
        """A round is over. It was quiet if nothing came of it but that as many execute as wait."""
        self._round += 1
        if not did and executing <= self._waiting:
            self._quiet_round = self._round
